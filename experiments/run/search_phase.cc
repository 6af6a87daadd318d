#include "experiments/run/search_phase.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "experiments/run/progress.h"
#include "experiments/run/proxy_phase.h"
#include "experiments/run/seed_streams.h"
#include "experiments/run/stage_outcome.h"
#include "experiments/run/supernet_weights.h"
#include "space/error.h"
#include "supernet/formats/weights.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

// Without the gaps of a GPU's store.
int64_t learned_elements(const ParameterStore& store) {
  int64_t elements = 0;
  for (const Parameter& parameter : store.parameters()) {
    if (is_learned(parameter.role)) elements += parameter.elements();
  }
  return elements;
}

// Where a search stage is, its weights excepted.
struct SearchState {
  std::string search;              // TunasSearch::state()
  std::vector<double> accuracies;  // of the architectures tried after the last step
  std::optional<RecalibrationResult> recalibration = {};
};

void to_json(Json& json, const SearchState& state) {
  json = {{"search", state.search}, {"accuracies", state.accuracies}};
  if (state.recalibration) json["recalibration"] = *state.recalibration;
}

void from_json(const Json& json, SearchState& state) {
  json.at("search").get_to(state.search);
  json.at("accuracies").get_to(state.accuracies);
  if (json.contains("recalibration")) {
    state.recalibration = json["recalibration"].get<RecalibrationResult>();
  }
}

Json record_json(const std::string& phase, const StepRecord& record) {
  Json ratios = Json::array();
  for (double ratio : record.of_target) ratios.push_back(number_or_null(ratio));
  return {{"phase", phase},
          {"step", record.step},
          {"loss", record.loss},
          {"accuracy", number_or_null(record.accuracy)},
          {"reward", number_or_null(record.reward)},
          {"baseline", number_or_null(record.baseline)},
          {"latency_of_target", ratios},
          {"samples", record.samples}};
}

TunasOptions tunas_options(const SearchConfig& config, SearchStage stage) {
  TunasOptions options = config.stages.at(stage).tunas;
  options.seed = stream_seed(config.seed, SeedStream::kController, uint64_t(stage));
  return options;
}

SupernetOptions supernet_options(const SearchConfig& config, SearchStage stage) {
  const SearchStageConfig& stage_config = config.stages.at(stage);
  SupernetOptions options = config.weights;
  options.steps = stage_config.tunas.steps;
  options.samples_per_step = stage_config.tunas.samples_per_step;
  options.distils_in_place = stage_config.tunas.sandwich;
  options.optimizer.learning_rate = stage_config.learning_rate;
  options.quantized = stage_config.quantized;
  options.seed = stream_seed(config.seed, SeedStream::kSharedWeights, uint64_t(stage));
  return options;
}

class StagePhase {
 public:
  StagePhase(const SearchContext& context, SearchStage stage, const StartingPoint& start,
             const Recalibration& recalibration);

  // From the checkpoint where there is one, else from the weights of the stage before where the
  // configuration asks for them.
  void begin(const StartingPoint& start);
  // To the last step, then the trials after it.
  StageResult run();
  StageOutcome outcome(const StageResult& found) const;

 private:
  Json state() const { return SearchState{search_.state(), accuracies_, recalibrated_}; }
  // The step after which laws are held against the machine; -1 for never.
  int recalibration_step() const;
  double trial_tolerance() const;
  std::vector<Architecture> networks_near_optimum() const;
  void recalibrate();
  void take(const RecalibrationResult& result);
  void after_training(int first_step, double seconds);
  StageResult run_stage(const std::function<void(const StepRecord&)>& after_step);

  const SearchContext& context_;
  SearchStage stage_;
  std::string phase_;
  const SearchStageConfig& config_;
  SearchSpace space_;
  Reward reward_;
  TunasOptions tunas_;
  TunasSearch search_;
  Supernet supernet_;
  SupernetWeights weights_;
  std::vector<double> accuracies_;     // of the architectures tried after the last step
  std::vector<LearnedImages> before_;  // by the weights that it started from
  const Recalibration& recalibration_;
  std::optional<RecalibrationResult> recalibrated_;
  double law_factor_;        // of the stages before, and of this one once it has corrected the laws
  int last_checkpoint_ = 0;  // step
};

StagePhase::StagePhase(const SearchContext& context, SearchStage stage, const StartingPoint& start,
                       const Recalibration& recalibration)
    : context_(context),
      stage_(stage),
      phase_(to_string(stage)),
      config_(context.config.stages.at(stage)),
      space_(searched_space(context.config.space, stage, start.architecture)),
      reward_(scaled_targets(with_law_factor(context.config.reward, start.law_factor),
                             config_.latency_factor)),
      tunas_(tunas_options(context.config, stage)),
      search_(space_, reward_, tunas_),
      supernet_(space_, context.data, supernet_options(context.config, stage),
                context.session.compute),
      weights_(supernet_),
      recalibration_(recalibration),
      law_factor_(start.law_factor) {
  // The result of an earlier stage may miss the target: no reason to lose its work.
  const std::string out_of_reach = search_.out_of_reach();
  if (!out_of_reach.empty()) {
    say(context.session, fmt::format("{}: {}; goes as near as it can", phase_, out_of_reach));
  }
  say(context.session,
      fmt::format("{}: {:.3g} architectures, {} shared parameters, {:.1f} % of them common to "
                  "all UIB instantiations",
                  phase_, size(space_), learned_elements(supernet_.parameters()),
                  100 * share_in_common(space_)));
}

void StagePhase::begin(const StartingPoint& start) {
  const bool is_warm = config_.warm_start && start.space;
  const std::string weights =
      is_warm ? supernet_file(start.weights_folder, *stage_before(stage_)) : "";
  if (const auto state = context_.run.begin<SearchState>(phase_)) {
    search_.restore(state->search);
    accuracies_ = state->accuracies;
    if (state->recalibration) take(*state->recalibration);
    context_.run.restore(supernet_.state());
    say(context_.session, fmt::format("{}: resumed at step {}", phase_, search_.step()));
    const std::string& from = is_warm ? weights : context_.config.weights.start;
    const auto learned = from.empty() ? std::nullopt : read_provenance(from);
    if (learned) before_ = learned->learned;
  } else if (is_warm) {
    ParameterStore previous(*start.space);
    before_ = load_weights_for(context_.data, weights, previous);
    supernet_.parameters().copy_common(previous);
  } else if (const std::string& from = context_.config.weights.start; !from.empty()) {
    const auto [taken, learned] = supernet_.start_from(from);
    before_ = learned;
    say(context_.session,
        fmt::format("{}: starts from {}: {} of {} tensors, {:.1f} % of the shared parameters",
                    phase_, from, taken.tensors, taken.of_tensors,
                    100.0 * double(taken.elements) / double(taken.of_elements)));
  }
  last_checkpoint_ = search_.step();
}

int StagePhase::recalibration_step() const {
  if (recalibration_.networks == 0) return -1;
  if (tunas_.method != SearchMethod::kTunas) return tunas_.steps;  // then the trials begin
  return std::max(1, int(tunas_.steps * (1 + tunas_.controller_delay) / 2));
}

double StagePhase::trial_tolerance() const {
  return tolerance_within_reach(space_, search_.cost_table(), reward_, tunas_.trials.tolerance);
}

// Of the controller's samples those that miss the targets least, or samples near the targets.
std::vector<Architecture> StagePhase::networks_near_optimum() const {
  constexpr int kDraws = 64;  // for each
  std::mt19937_64 random(
      stream_seed(context_.config.seed, SeedStream::kRecalibration, uint64_t(stage_)));
  const size_t count = size_t(recalibration_.networks);
  std::vector<Decisions> near;
  if (tunas_.method == SearchMethod::kTunas) {
    std::set<std::pair<double, Decisions>> by_miss;
    for (size_t draw = 0; draw < kDraws * count; ++draw) {
      const Decisions decisions = search_.controller().sample(random);
      by_miss.insert({reward_.miss(search_.cost_table().price(decisions)), decisions});
    }
    for (const auto& [miss, decisions] : by_miss) {
      if (near.size() < count) near.push_back(decisions);
    }
  } else {
    near = samples_near_targets(space_, search_.cost_table(), reward_, trial_tolerance(),
                                int(count), random);
  }
  std::vector<Architecture> networks;
  for (const Decisions& decisions : near) {
    networks.push_back(decode(space_, decisions));
    networks.back().name = fmt::format("near-optimum-{}", networks.size());
  }
  return networks;
}

void StagePhase::take(const RecalibrationResult& result) {
  recalibrated_ = result;
  law_factor_ *= result.factor;
  reward_ = with_law_factor(reward_, result.factor);
  search_.reprice(reward_);
}

void StagePhase::recalibrate() {
  const Profile profile = *calibrated_target(reward_.targets)->profile;
  const std::vector<Architecture> near = networks_near_optimum();
  if (int(near.size()) < kFewestRecalibrating) {
    say(context_.session,
        fmt::format("{}: the laws of '{}' stay as they are: {} near the optimum, and it takes {} "
                    "networks to correct them",
                    phase_, profile.name,
                    near.size() == 1 ? "there is only one network" : "there are only two networks",
                    kFewestRecalibrating));
    return;
  }
  take(recalibrated(recalibration_.ratios(near, profile)));
  say(context_.session,
      fmt::format("{}: {} networks near the optimum: the laws of '{}' times {:.3f}, mean error "
                  "{:.1f} % before and {:.1f} % after",
                  phase_, recalibrated_->networks, profile.name, recalibrated_->factor,
                  100 * recalibrated_->error_before, 100 * recalibrated_->error_after));
}

void StagePhase::after_training(int first_step, double seconds) {
  const double images = double(context_.config.weights.batch_size) * tunas_.samples_per_step;
  say_rates(context_, phase_, (tunas_.steps - first_step) * images, seconds, supernet_.loader());
  if (tunas_.method != SearchMethod::kTunas && trial_tolerance() > tunas_.trials.tolerance) {
    say(context_.session,
        fmt::format("{}: no architecture comes within {:g} % of the targets; tries the nearest "
                    "hundredth, within {:.3g} %",
                    phase_, 100 * tunas_.trials.tolerance, 100 * trial_tolerance()));
  }
  save_weights(supernet_file(context_.run.file("."), stage_), supernet_.judged_parameters(),
               torch::kFloat, supernet_.provenance(before_));
}

// Runs the search; a failure names the last good checkpoint.
StageResult StagePhase::run_stage(const std::function<void(const StepRecord&)>& after_step) {
  RecordedWeights recorded(weights_, accuracies_, [&](const std::vector<double>& accuracies) {
    accuracies_ = accuracies;
    checkpoint_if_due(
        context_, context_.session.checkpoint_every, int(accuracies.size()),
        [&] { return state(); }, supernet_.state());
  });
  try {
    return ridgewalk::run_stage(search_, recorded, after_step);
  } catch (const Error&) {
    throw;
  } catch (const std::runtime_error& error) {
    const auto& group = context_.session.compute.group;
    if (group && !group->is_first()) throw;
    throw std::runtime_error(fmt::format("{}: {}; last good checkpoint: {}, step {}", phase_,
                                         error.what(), context_.run.file("checkpoint.safetensors"),
                                         last_checkpoint_));
  }
}

StageResult StagePhase::run() {
  const Session& session = context_.session;
  const int first_step = search_.step();
  const double images = double(context_.config.weights.batch_size) * tunas_.samples_per_step;
  Progress progress(phase_, first_step, tunas_.steps, images, session.quiet);
  const auto start = std::chrono::steady_clock::now();
  const StageResult found = run_stage([&](const StepRecord& record) {
    context_.run.log(record_json(phase_, record));
    progress.update(search_.step(),
                    fmt::format("loss {:.3f}  reward {:.3f}", record.loss, record.reward));
    if (search_.step() == recalibration_step() && !recalibrated_) {
      recalibrate();
      // Measured again it would be another factor.
      context_.run.checkpoint(state(), supernet_.state());
    }
    if (search_.done()) after_training(first_step, seconds_since(start));
    checkpoint_if_due(
        context_, session.checkpoint_every, search_.step(), [&] { return state(); },
        supernet_.state());
    if (search_.step() % session.checkpoint_every == 0) last_checkpoint_ = search_.step();
  });
  say(session,
      fmt::format("{}: slicing took {:.2f} % of the steps' time", phase_,
                  100 * supernet_.slicing_seconds() / std::max(1e-9, supernet_.step_seconds())));
  say_damaged(context_.data, session);
  if (!found.best.is_within_limits) {
    say(session,
        fmt::format("{}: found no architecture within all limits; the result exceeds one", phase_));
  }
  return found;
}

StageOutcome StagePhase::outcome(const StageResult& found) const {
  StageOutcome outcome = stage_outcome({stage_, config_, space_, reward_, search_}, found);
  outcome.architecture.name = context_.config.space.name + "-" + phase_;
  outcome.recalibration = recalibrated_;
  outcome.law_factor = law_factor_;
  return outcome;
}

}  // namespace

Reward scaled_targets(Reward reward, double factor) {
  for (Target& target : reward.targets) {
    if (target.models[0].resource != Resource::kLatency || target.is_limit) continue;
    for (Macs& latency : target.latency) latency = factor * latency;
  }
  return reward;
}

std::string supernet_file(const std::string& folder, SearchStage stage) {
  return folder + "/" + std::string(to_string(stage)) + "-supernet.safetensors";
}

StageOutcome search_phase(const SearchContext& context, SearchStage stage,
                          const StartingPoint& start, const Recalibration& recalibration) {
  if (auto outcome = context.run.result<StageOutcome>(std::string(to_string(stage)))) {
    outcome->stage = stage;
    return *outcome;
  }
  const auto searched = [&] {
    if (context.config.stages.at(stage).judge) return proxy_phase(context, stage, start);
    StagePhase phase(context, stage, start, recalibration);
    phase.begin(start);
    return phase.outcome(phase.run());
  };
  StageOutcome outcome = searched();
  context.run.finish(outcome);
  return outcome;
}

std::vector<Candidate> trial_phase(
    const RunContext& context, const std::string& phase, const Trials& trials,
    const std::function<std::vector<Candidate>(const Trial&, std::mt19937_64&)>& search) {
  constexpr int kCheckpointEvery = 8;  // trials
  const auto known = context.run.begin<std::vector<double>>(phase).value_or(std::vector<double>{});
  SupernetWeights shared(trials.supernet);
  Progress progress(phase, int(known.size()), trials.count, 1, context.session.quiet);
  RecordedWeights weights(shared, known, [&](const std::vector<double>& accuracies) {
    progress.update(int(accuracies.size()), fmt::format("accuracy {:.4f}", accuracies.back()));
    checkpoint_if_due(
        context, kCheckpointEvery, int(accuracies.size()), [&] { return Json(accuracies); },
        NamedTensors{});
  });
  const CostTable table(trials.space, trials.reward.models());
  std::mt19937_64 random(trials.seed);
  return search({trials.space, table, trials.reward, weights}, random);
}

}  // namespace ridgewalk
