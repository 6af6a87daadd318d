// What the phases of a run find out. Their JSON is that of the checkpoint, of result.yaml and of
// trainings.json.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/run/json.h"
#include "search/stages.h"
#include "supernet/training/evaluate.h"
#include "supernet/training/proxies.h"

namespace ridgewalk {

// An amount of a resource, in its unit (ResourceUnit).
struct ResourceAmount {
  Resource resource = {};
  double amount = 0;
};
// "503.1 KiB"
std::string amount_text(const ResourceAmount& amount);

// A target as results name it; the figures are absent for a range of ridge points.
struct TargetSummary {
  std::string name;
  std::optional<double> ridge_point = {};     // MACs per byte
  std::optional<DataType> data_type = {};     // where it is not int8
  std::optional<DataType> head_type = {};     // where it is not that
  int batch = 1;                              // images that a latency is of
  std::optional<double> latency_macs = {};    // in units of one MAC at peak
  std::optional<double> latency_ms = {};      // of a profile with a peak
  bool is_guess = false;                      // of those: LatencyModel::is_guess()
  std::optional<ResourceAmount> amount = {};  // of another resource; the latencies are then absent
  bool is_limit = false;
};
std::vector<TargetSummary> target_summaries(const Reward& reward);

// A network's latency beside one target.
struct TargetLatency {
  std::string target;
  std::optional<double> latency_macs = {};  // absent for a range of ridge points
  std::optional<double> latency_ms = {};    // of a profile with a peak
  bool is_guess = false;                    // of those: LatencyModel::is_guess()
  std::optional<ResourceAmount> amount = {};
  double of_target = 0;  // latency, or amount, over the target's
};

// What a network takes of a limit.
struct LimitShare {
  std::string limit;  // the target's name
  double share = 0;   // above 1 it is exceeded
};
// Of a network with these prices, one per model of the targets; empty where no target is a limit.
std::vector<LimitShare> limit_shares(const Reward& reward, std::span<const Macs> prices);
bool is_within(const std::vector<LimitShare>& shares);
// "above peak memory (1.24 times)" of each that is exceeded; empty within all.
std::string excess_text(const std::vector<LimitShare>& shares);
// As `within_limits` and `of_limits`; nothing where there are no limits.
void add_limits(Json& json, const std::vector<LimitShare>& shares);
std::vector<LimitShare> limits_in(const Json& json);

// A candidate of a search with its latencies by target.
struct CandidateResult {
  Decisions decisions = {};
  double probability = 0;  // with the controller; 0 where there is none
  double accuracy = 0;     // top-1 with shared weights on the whole search-validation split
  std::optional<double> proxy = {};  // where that judges; the accuracy is then NaN
  double reward = 0;
  std::vector<TargetLatency> latency = {};
  std::optional<bool> is_within_limits = {};  // where there are any
};
CandidateResult candidate_result(const Candidate& candidate, const Reward& reward);

// What the controller believes of one choice when a stage ends.
struct ChoiceResult {
  std::string name;
  std::vector<std::string> options = {};
  std::vector<double> probabilities = {};  // one per option
  int chosen = 0;                          // by the best candidate; may be kInactive
};

// What measuring networks near the optimum made of a profile's laws.
struct RecalibrationResult {
  int networks = 0;
  double factor = 1;        // on the time of the laws
  double error_before = 0;  // mean of |law / measured - 1|
  double error_after = 0;
};

// The result of a search stage.
struct StageOutcome {
  SearchStage stage = {};  // not in the JSON, where it is the key
  std::string space;
  SearchMethod method = {};
  std::optional<Proxy> judge = {};  // in place of shared weights
  double size = 0;                  // of the space, in architectures
  double share_in_common = 0;       // of the shared parameters, to all UIB instantiations
  std::vector<TargetSummary> targets = {};
  CandidateResult argmax = {}, best = {};
  std::string chosen;  // how `best` came about: argmax, re-evaluated candidate, best of those tried
  std::vector<CandidateResult> candidates = {};
  std::vector<ChoiceResult> choices = {};  // of two options or more
  Architecture architecture = {};          // of `best`
  std::optional<RecalibrationResult> recalibration = {};
  double law_factor = 1;  // on the laws of the calibrated machine, by this stage and all before
};

using SplitAccuracy = Accuracy;

// The result of a training.
struct TrainingResult {
  std::string architecture;  // its name
  std::string data;
  std::string weights;  // "from scratch" or "from FILE"
  int epochs = 0;
  std::optional<std::string> teacher = {};
  double ema = 0;                           // decay of the average of the weights; 0: none
  std::optional<SplitAccuracy> train = {};  // of at most 10,000 images, without augmentation
  std::optional<SplitAccuracy> search_validation = {};  // where images are held out
  SplitAccuracy test = {};
};

// "0.0815 ms"; of a guess (LatencyModel::is_guess()) "~0.08 ms".
std::string milliseconds_text(double ms, bool is_guess);

// "train 98.12 % of 10000 images without augmentation, search-validation 91.02 %, test 90.48 %".
std::string top1_text(const TrainingResult& result);

void to_json(Json& json, const TargetSummary& target);
void from_json(const Json& json, TargetSummary& target);
void to_json(Json& json, const TargetLatency& latency);
void from_json(const Json& json, TargetLatency& latency);
// Names the split and the weights of the accuracy too.
void to_json(Json& json, const CandidateResult& candidate);
void from_json(const Json& json, CandidateResult& candidate);
void to_json(Json& json, const ChoiceResult& choice);
void from_json(const Json& json, ChoiceResult& choice);
void to_json(Json& json, const RecalibrationResult& result);
void from_json(const Json& json, RecalibrationResult& result);
void to_json(Json& json, const StageOutcome& outcome);
void from_json(const Json& json, StageOutcome& outcome);
void to_json(Json& json, const SplitAccuracy& accuracy);
void from_json(const Json& json, SplitAccuracy& accuracy);
// Names the split of each accuracy too.
void to_json(Json& json, const TrainingResult& result);
void from_json(const Json& json, TrainingResult& result);

}  // namespace ridgewalk
