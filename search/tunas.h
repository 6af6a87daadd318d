// One stage of a search: shared weights and controller learn together (TuNAS), or the weights learn
// alone and architectures are tried afterwards.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "search/candidates.h"
#include "search/controller.h"
#include "search/fair_sampler.h"

namespace ridgewalk {

// kTunas: the controller learns while the weights are trained. kRandom, kEvolution: the weights are
// trained on uniform samples; the result is the best of the architectures that are then tried with
// them, random or evolved.
enum class SearchMethod { kTunas, kRandom, kEvolution };
template <>
inline constexpr auto kNames<SearchMethod> =
    name_table<SearchMethod>("search method", {{SearchMethod::kTunas, "tunas"},
                                               {SearchMethod::kRandom, "random"},
                                               {SearchMethod::kEvolution, "evolution"}});

struct TunasOptions {
  SearchMethod method = SearchMethod::kTunas;
  int steps = 1000;
  int samples_per_step = 4;        // architectures
  double controller_delay = 0.25;  // share of the steps before the controller learns
  double operation_warmup = 0.25;  // share over which the probability of a blend falls from 1 to 0
  double filter_warmup = 0.25;     // the same for the widest filters
  int candidates = 8;              // kTunas: most probable architectures evaluated at the end
  TrialOptions trials = {};        // of the other methods
  // Of the other methods: before the warm-ups change them, samples miss the targets by at most
  // this; without it they are uniform over the space.
  std::optional<double> sample_tolerance = {};
  // As long as no controller learns: uses every option of a choice equally often (FairSampler),
  // rather than on average.
  bool fair = false;
  // The first samples of a step are the members of the space with the most and with the fewest
  // MACs, and the others learn from the first (SharedWeights::train()). A controller learns from
  // the others.
  bool sandwich = false;
  ControllerOptions controller = {};
  uint64_t seed = 0;
  bool operator==(const TunasOptions&) const = default;
};

// The record of a step: means over its samples. Before the controller learns there is no
// evaluation: accuracy and reward are NaN and latency is left out.
struct StepRecord {
  int step = 0;
  double loss = 0;
  double accuracy = 0;
  double reward = 0;
  double baseline = 0;
  std::vector<double> of_target = {};  // latency over the target's, one per target
  std::vector<Decisions> samples = {};
};

struct StageResult {
  Candidate argmax;  // kTunas: the most probable option of every choice
  // kTunas: the argmax, then the most probable first; those above a limit give way to samples of
  // the controller that are within, or, where it has none, of the space. With every method, where
  // all are above a limit, last of all the members of the space with the least of each limit.
  std::vector<Candidate> candidates;
  Candidate best;  // of the candidates, by is_better()
};

class TunasSearch {
 public:
  // Throws Error when an option or a target is out of range.
  TunasSearch(const SearchSpace& space, const Reward& reward, const TunasOptions& options);

  // The first target that no architecture of the space reaches, and what is within reach, as a
  // message; empty if there is none. The search then gets as near as it can.
  std::string out_of_reach() const;

  bool done() const { return step_ == options_.steps; }
  int step() const { return step_; }
  const Controller& controller() const { return controller_; }
  const CostTable& cost_table() const { return cost_table_; }

  // Samples architectures, applies the warm-ups and trains the weights on the result; once the
  // controller learns, also evaluates and rewards the samples and updates the controller. Throws
  // std::runtime_error with the step and the samples when loss or reward is not finite.
  StepRecord advance(SharedWeights& weights);

  // Goes on with other prices: what the controller has learned stays. Between two steps, or after
  // the last one.
  void reprice(const Reward& reward);

  // After the last step.
  StageResult finish(SharedWeights& weights) const;

  // Everything that the next step depends on, except the weights.
  std::string state() const;
  void restore(const std::string& state);

 private:
  Decisions sample();
  std::vector<Decisions> samples_of_step();
  double learns_from() const;  // step
  std::vector<Decisions> candidates() const;
  [[noreturn]] void stop(const std::string& what, const std::vector<Decisions>& samples) const;

  SearchSpace space_;
  ChoiceLayout layout_;
  std::vector<Choice> choices_;
  Reward reward_;
  TunasOptions options_;
  CostTable cost_table_;
  Controller controller_;
  FairSampler fair_;
  std::vector<Decisions> extremes_;  // with `sandwich`: the first samples of every step
  std::mt19937_64 random_;
  int step_ = 0;
};

}  // namespace ridgewalk
