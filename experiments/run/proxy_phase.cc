#include "experiments/run/proxy_phase.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>

#include "experiments/run/progress.h"
#include "experiments/run/proxy_judge.h"
#include "experiments/run/seed_streams.h"
#include "experiments/run/stage_outcome.h"
#include "experiments/run/supernet_weights.h"
#include "space/lowering.h"
#include "supernet/training/lanes.h"

namespace ridgewalk {
namespace {

// There are no shared weights: what the search asks of them is what the proxy answers.
class ProxyWeights : public SharedWeights {
 public:
  ProxyWeights(const SearchSpace& space, const ProxyJudge& judge, Proxy which)
      : space_(space), judge_(judge), which_(which) {}

  double train(int, std::span<const Decisions>) override { throw nothing_trained(); }
  std::vector<double> accuracy(int, std::span<const Decisions>) override {
    throw nothing_trained();
  }
  // Threads may call it at once.
  double validate(const Decisions& sample) override {
    const double value = judge_(which_, lower(decode(space_, sample)));
    if (std::isfinite(value)) return value;
    throw std::runtime_error(
        fmt::format("{} of a candidate is not a finite number; take another "
                    "judge",
                    to_string(which_)));
  }

 private:
  static std::logic_error nothing_trained() { return std::logic_error("a proxy trains nothing"); }

  const SearchSpace& space_;
  const ProxyJudge& judge_;
  Proxy which_;
};

// Notes what is asked. Random search asks the same whatever the answers.
class Questions : public SharedWeights {
 public:
  double train(int, std::span<const Decisions>) override { return 0; }
  std::vector<double> accuracy(int, std::span<const Decisions> samples) override {
    return std::vector<double>(samples.size());
  }
  double validate(const Decisions& sample) override {
    asked.push_back(sample);
    return 0;
  }
  std::vector<Decisions> asked;
};

// The proxy alone is the reward: the targets are met by what is tried, and limits come before it.
Reward proxy_reward(const SearchContext& context, SearchStage stage, const StartingPoint& start) {
  Reward reward = scaled_targets(with_law_factor(context.config.reward, start.law_factor),
                                 context.config.stages.at(stage).latency_factor);
  reward.form = RewardForm::kAbsolute;
  reward.beta = 0;
  return reward;
}

class ProxyPhase {
 public:
  ProxyPhase(const SearchContext& context, SearchStage stage, const StartingPoint& start)
      : context_(context),
        phase_(to_string(stage)),
        config_(context.config.stages.at(stage)),
        space_(searched_space(context.config.space, stage, start.architecture)),
        reward_(proxy_reward(context, stage, start)),
        search_(space_, reward_, options(stage)),
        judge_(context.data, stream_seed(context.config.seed, SeedStream::kProxies)),
        weights_(space_, judge_, *config_.judge) {}

  StageOutcome run(SearchStage stage, double law_factor) {
    say(context_.session, fmt::format("{}: {:.3g} architectures, judged by {}", phase_,
                                      size(space_), to_string(*config_.judge)));
    std::vector<double> values =
        context_.run.begin<std::vector<double>>(phase_).value_or(std::vector<double>{});
    Progress progress(phase_, int(values.size()), config_.tunas.trials.evaluations, 0,
                      context_.session.quiet);
    const auto after_each = [&](const std::vector<double>& known) {
      values = known;
      progress.update(int(known.size()),
                      fmt::format("{} {:.5g}", to_string(*config_.judge), known.back()));
      checkpoint_if_due(
          context_, kCheckpointEvery, int(known.size()), [&] { return Json(known); },
          NamedTensors{});
    };
    if (config_.tunas.method == SearchMethod::kRandom) judge_in_lanes(values, after_each);
    RecordedWeights recorded(weights_, values, after_each);
    const StageResult found = search_.finish(recorded);
    if (!found.best.is_within_limits) {
      say(context_.session,
          fmt::format("{}: found no architecture within all limits; the result exceeds one",
                      phase_));
    }
    StageOutcome outcome = stage_outcome({stage, config_, space_, reward_, search_}, found);
    outcome.architecture.name = context_.config.space.name + "-" + phase_;
    outcome.law_factor = law_factor;
    return outcome;
  }

 private:
  static constexpr int kCheckpointEvery = 8;

  TunasOptions options(SearchStage stage) const {
    TunasOptions options = config_.tunas;
    options.seed = stream_seed(context_.config.seed, SeedStream::kController, uint64_t(stage));
    return options;
  }

  template <class AfterEach>
  void judge_in_lanes(std::vector<double>& values, const AfterEach& after_each) {
    Questions questions;
    search_.finish(questions);
    const std::vector<Decisions>& asked = questions.asked;
    while (values.size() < asked.size()) {
      const size_t first = values.size();
      const size_t count = std::min<size_t>(kCheckpointEvery, asked.size() - first);
      std::vector<double> judged(count);
      in_lanes(context_.session.compute.lanes, int64_t(count),
               [&](int64_t i) { judged[size_t(i)] = weights_.validate(asked[first + size_t(i)]); });
      std::vector<double> known = values;
      known.insert(known.end(), judged.begin(), judged.end());
      after_each(known);
    }
  }

  const SearchContext& context_;
  std::string phase_;
  const SearchStageConfig& config_;
  SearchSpace space_;
  Reward reward_;
  TunasSearch search_;
  ProxyJudge judge_;
  ProxyWeights weights_;
};

}  // namespace

StageOutcome proxy_phase(const SearchContext& context, SearchStage stage,
                         const StartingPoint& start) {
  return ProxyPhase(context, stage, start).run(stage, start.law_factor);
}

}  // namespace ridgewalk
