// Milliseconds of networks on hardware profiles, as `describe --profile` has them.
#pragma once

#include <string>
#include <vector>

#include "experiments/commands/command_line.h"
#include "experiments/run/network_record.h"
#include "roofline/latency_model.h"

namespace ridgewalk {

struct ProfileQuestion {
  std::vector<std::string> profiles;
  NetworkTypes types = {};
  bool has_type = false;       // --dtype was given; else each profile has its own
  bool has_head_type = false;  // --head-dtype was given
  int batch = 1;
};
// Of --profile, --dtype, --head-dtype and --batch.
ProfileQuestion profile_question(const CommandLine& line);

struct OnProfile {
  std::string profile;
  bool is_guess = false;        // LatencyModel::is_guess()
  std::string why = {};         // why_guess()
  std::vector<double> ms = {};  // one per network
  bool is_lower_bound = false;  // for at least one network, which has an op without a law
};
struct ProfileLatencies {
  std::vector<OnProfile> on = {};
  std::vector<std::string> without_peak = {};  // on these latencies are only relative
};
ProfileLatencies on_profiles(const std::vector<NetworkRecord>& networks,
                             const ProfileQuestion& question);

// On stderr: the profiles without milliseconds.
void print_missing_peaks(const ProfileLatencies& latencies);
std::string profiles_csv(const std::vector<NetworkRecord>& networks,
                         const ProfileLatencies& latencies);
void print_profiles(const std::vector<NetworkRecord>& networks, const ProfileLatencies& latencies,
                    int batch);

// " of 8 images"; nothing of one.
std::string of_batch_text(int batch);

}  // namespace ridgewalk
