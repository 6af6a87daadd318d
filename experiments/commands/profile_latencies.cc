#include "experiments/commands/profile_latencies.h"

#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/run/csv.h"
#include "experiments/run/results.h"
#include "roofline/price.h"
#include "space/lowering.h"

namespace ridgewalk {

ProfileQuestion profile_question(const CommandLine& line) {
  ProfileQuestion question{
      .profiles =
          line.find<std::vector<std::string>>("profile").value_or(std::vector<std::string>()),
      .types = {option_named<DataType>("--dtype", line.get<std::string>("dtype"))},
      .has_type = line.given("dtype"),
      .has_head_type = line.has("head-dtype"),
      .batch = line.get<int>("batch")};
  if (question.has_head_type) {
    question.types.head =
        option_named<DataType>("--head-dtype", line.get<std::string>("head-dtype"));
  }
  return question;
}

ProfileLatencies on_profiles(const std::vector<NetworkRecord>& networks,
                             const ProfileQuestion& question) {
  ProfileLatencies result;
  for (const std::string& name : question.profiles) {
    const Profile profile = load_profile(name);
    if (!profile.peak() && !profile.is_overhead_alone()) {
      result.without_peak.push_back(profile.name);
      continue;
    }
    LatencyModel model =
        question.has_type ? latency_model(profile, question.types.stages) : latency_model(profile);
    if (question.has_head_type) model = with_head(model, profile, question.types.head);
    model.batch = question.batch;
    OnProfile& one =
        result.on.emplace_back(OnProfile{profile.name, model.is_guess(), why_guess(model)});
    for (const NetworkRecord& network : networks) {
      const Graph graph = lower(network.architecture);
      one.ms.push_back(1e3 * (price(graph, model) / model.peak).value);
      one.is_lower_bound |= !model.laws.empty() && !kinds_without_law(whole(graph), model).empty();
    }
  }
  return result;
}

void print_missing_peaks(const ProfileLatencies& latencies) {
  if (latencies.without_peak.empty()) return;
  fmt::print(stderr, "no milliseconds on {}: without a peak latencies are only relative\n",
             fmt::join(latencies.without_peak, ", "));
}

std::string profiles_csv(const std::vector<NetworkRecord>& networks,
                         const ProfileLatencies& latencies) {
  std::string csv = "network,profile,is_guess,latency_ms\n";
  for (size_t i = 0; i < networks.size(); ++i) {
    for (const OnProfile& on : latencies.on) {
      csv += fmt::format("{},{},{},{}\n", csv_quoted(networks[i].architecture.name),
                         csv_quoted(on.profile), on.is_guess, on.ms[i]);
    }
  }
  return csv;
}

void print_profiles(const std::vector<NetworkRecord>& networks, const ProfileLatencies& latencies,
                    int batch) {
  if (latencies.on.empty()) return;
  fmt::print("Latency{} on each profile\n\n{:<22}", of_batch_text(batch), "network");
  for (const OnProfile& on : latencies.on) {
    fmt::print(" {:>18}", (on.is_lower_bound ? ">= " : "") + on.profile);
  }
  for (size_t i = 0; i < networks.size(); ++i) {
    fmt::print("\n{:<22}", networks[i].architecture.name);
    for (const OnProfile& on : latencies.on) {
      fmt::print(" {:>18}", milliseconds_text(on.ms[i], on.is_guess));
    }
  }
  std::map<std::string, std::vector<std::string>> profiles_by_reason;
  for (const OnProfile& on : latencies.on) {
    if (on.is_guess) profiles_by_reason[on.why].push_back(on.profile);
  }
  fmt::print("\n\n");
  for (const auto& [why, profiles] : profiles_by_reason) {
    fmt::print("~ on {}: {}\n\n", fmt::join(profiles, ", "), why);
  }
}

std::string of_batch_text(int batch) {
  return batch == 1 ? "" : fmt::format(" of {} images", batch);
}

}  // namespace ridgewalk
