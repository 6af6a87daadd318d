// One stage of search: shared weights and controller improve step by step (TuNAS), or the weights
// alone, and architectures are tried afterwards.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "search/candidates.h"
#include "search/controller.h"

namespace ridgewalk {

// kTunas: the controller learns while the weights train. kRandom, kEvolution: the weights train on
// uniform samples; the answer is the best of architectures tried with them, random or bred.
enum class SearchMethod { kTunas, kRandom, kEvolution };
std::string_view to_string(SearchMethod method);
std::optional<SearchMethod> search_method_named(std::string_view name);

struct TunasOptions {
  SearchMethod method = SearchMethod::kTunas;
  int steps = 1000;
  int samples_per_step = 4;        // architectures
  double controller_delay = 0.25;  // share of the steps before the controller learns
  double operation_warmup = 0.25;  // share over which the chance of a blend falls from 1 to 0
  double filter_warmup = 0.25;     // the same for the widest filters
  int candidates = 8;              // kTunas: most probable architectures evaluated at the end
  TrialOptions trials = {};        // of the other methods
  // Of the other methods: samples are drawn whose latency is this near to the targets', before the
  // warm-ups change them; without it all alike.
  std::optional<double> sample_tolerance = {};
  ControllerOptions controller = {};
  uint64_t seed = 0;
  bool operator==(const TunasOptions&) const = default;
};

// What a step saw. Means over its samples; accuracy and reward are NaN and latency is left
// out before the controller learns (evaluation is skipped until then).
struct StepRecord {
  int step = 0;
  double loss = 0;
  double accuracy = 0;
  double reward = 0;
  double baseline = 0;
  std::vector<double> of_target = {};  // latency over the target's, one a target
  std::vector<Decisions> samples = {};
};

struct StageResult {
  Candidate argmax;                   // kTunas: the most probable option of every choice
  std::vector<Candidate> candidates;  // kTunas: the argmax, then the most probable first
  Candidate best;                     // of the candidates, by reward; the more probable of equals
};

class TunasSearch {
 public:
  // Throws Error when an option or a target is not a number that makes sense.
  TunasSearch(const SearchSpace& space, const Reward& reward, const TunasOptions& options);

  // The first target that no architecture of the space reaches, and what is within reach; empty
  // where there is none. The search then goes as near as it can.
  std::string out_of_reach() const;

  bool done() const { return step_ == options_.steps; }
  int step() const { return step_; }
  const Controller& controller() const { return controller_; }
  const CostTable& cost_table() const { return cost_table_; }

  // Samples architectures, warm-ups applied; trains the weights on them; and, once the controller
  // learns, evaluates them, rewards and updates. Throws std::runtime_error when loss or reward is
  // not finite, naming the step and the sampled architectures.
  StepRecord advance(SharedWeights& weights);

  // After the last step.
  StageResult finish(SharedWeights& weights) const;

  // Everything that the next step depends on, weights excepted.
  std::string state() const;
  void restore(const std::string& state);

 private:
  Decisions sample();
  [[noreturn]] void stop(const std::string& what, const std::vector<Decisions>& samples) const;

  SearchSpace space_;
  ChoiceLayout layout_;
  std::vector<Choice> choices_;
  Reward reward_;
  TunasOptions options_;
  CostTable cost_table_;
  Controller controller_;
  std::mt19937_64 random_;
  int step_ = 0;
};

}  // namespace ridgewalk
