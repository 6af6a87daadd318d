#include "experiments/run/phases.h"

#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "experiments/run/interrupt.h"
#include "experiments/run/progress.h"
#include "experiments/run/supernet_weights.h"
#include "space/error.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

Json latency_json(const Reward& reward, const std::vector<Macs>& latency) {
  Json list = Json::array();
  const std::vector<double> ratios = reward.ratios(latency);
  size_t first = 0;
  for (size_t t = 0; t < ratios.size(); ++t) {
    const Target& target = reward.targets[t];
    Json entry = {{"target", target.name}};
    if (target.latency.size() == 1) entry["latency_macs"] = latency[first].value;
    entry["of_target"] = ratios[t];
    list.push_back(std::move(entry));
    first += target.latency.size();
  }
  return list;
}

Json choices_json(const SearchSpace& space, const Controller& controller, const Decisions& chosen) {
  const auto probabilities = controller.probabilities();
  const std::vector<Choice> list = choices(space);
  Json result = Json::array();
  for (size_t c = 0; c < list.size(); ++c) {
    if (list[c].options.size() < 2) continue;
    result.push_back({{"name", list[c].name},
                      {"options", list[c].options},
                      {"probabilities", probabilities[c]},
                      {"chosen", chosen[c]}});
  }
  return result;
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

// Checkpoints at the set interval and when the user interrupts.
template <class State>
void checkpoint_if_due(RunFolder& run, const Session& session, int step, State state,
                       const NamedTensors& tensors) {
  const bool stop = interrupted();
  if (stop || step % session.checkpoint_every == 0) run.checkpoint(state(), tensors);
  if (stop) throw Interrupted();
}

void say(const Session& session, const std::string& line) {
  if (!session.quiet) ridgewalk::say(line + "\n");
}

// What training took, beside what the loader alone would give: on stderr and in the run's report;
// results have no times.
void say_rates(RunFolder& run, const Session& session, const std::string& phase, double images,
               double seconds, const Loader& loader) {
  const double training = images / std::max(1e-9, seconds);
  run.set_rates({{"training", training}, {"loader", loader.images_per_second()}});
  say(session, fmt::format("{}: {:.0f} s, {:.0f} training images/s; the loader alone {:.0f}", phase,
                           seconds, training, loader.images_per_second()));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Throws Error unless `saved` is a list of numbers.
std::vector<double> accuracies_of(const RunFolder& run, const Json& saved) {
  std::vector<double> accuracies;
  for (const Json& accuracy : saved) {
    if (!saved.is_array() || !accuracy.is_number()) {
      throw Error(run.file("checkpoint.safetensors"), 0,
                  "is damaged; start anew with another --out");
    }
    accuracies.push_back(accuracy);
  }
  return accuracies;
}

void warm_start(Supernet& supernet, const SearchSpace& previous_space, const std::string& weights) {
  ParameterStore previous(previous_space);
  load_weights(weights, previous);
  supernet.parameters().copy_common(previous);
}

}  // namespace

Json candidate_json(const Candidate& candidate, const Reward& reward) {
  return {{"decisions", candidate.decisions},
          {"probability", candidate.probability},
          {"accuracy", candidate.accuracy},
          {"split", "search-validation"},
          {"weights", "shared"},
          {"reward", candidate.reward},
          {"latency", latency_json(reward, candidate.latency)}};
}

Json targets_json(const Reward& reward) {
  Json list = Json::array();
  for (const Target& target : reward.targets) {
    const bool is_point = target.latency.size() == 1;
    list.push_back({{"name", target.name},
                    {"ridge_point", is_point ? Json(target.ridge_points[0].value) : Json()},
                    {"latency_macs", is_point ? Json(target.latency[0].value) : Json()}});
  }
  return list;
}

void say_damaged(const Dataset& data, const Session& session) {
  if (!data.damaged || data.damaged->count() == 0) return;
  say(session, fmt::format("{}: files that could not be decoded: {}; others stand in for them",
                           data.name, data.damaged->count()));
}

Reward scaled_targets(Reward reward, double factor) {
  for (Target& target : reward.targets) {
    for (Macs& latency : target.latency) latency = factor * latency;
  }
  return reward;
}

std::string supernet_file(const std::string& folder, SearchStage stage) {
  return folder + "/" + std::string(to_string(stage)) + "-supernet.safetensors";
}

Json search_phase(RunFolder& run, const SearchConfig& config, SearchStage stage,
                  const std::optional<SearchSpace>& previous_space,
                  const std::optional<Architecture>& previous, const std::string& weights_folder,
                  const Dataset& data, const Session& session) {
  const std::string phase(to_string(stage));
  if (const Json* result = run.result(phase)) return *result;
  const StageConfig& stage_config = config.stages.at(stage);
  const SearchSpace space = stage_space(config.space, stage, previous);
  const Reward reward = scaled_targets(config.reward, stage_config.latency_factor);
  TunasOptions tunas = stage_config.tunas;
  tunas.seed = mix(config.seed, 100 + uint64_t(stage));
  TunasSearch search(space, reward, tunas);

  // What an earlier stage found may lie beside the target: not a reason to lose its work.
  const std::string out_of_reach = search.out_of_reach();
  if (!out_of_reach.empty()) {
    say(session, fmt::format("{}: {}; goes as near as it can", phase, out_of_reach));
  }

  SupernetOptions options = config.weights;
  options.steps = tunas.steps;
  options.optimizer.learning_rate = stage_config.learning_rate;
  options.seed = mix(config.seed, 200 + uint64_t(stage));
  Supernet supernet(space, data, options, session.machine);
  SupernetWeights weights(supernet);
  const double common = share_in_common(space);
  say(session,
      fmt::format("{}: {:.3g} architectures, {} shared parameters, {:.1f} % of them common to "
                  "all UIB instantiations",
                  phase, size(space), supernet.parameters().learned(), 100 * common));

  std::vector<double> known;  // accuracies of the architectures tried after the last step
  if (const auto state = run.begin(phase)) {
    search.restore(state->is_object() ? state->value("search", "") : "");
    known = accuracies_of(run, state->value("accuracies", Json()));
    run.restore(supernet.state());
    say(session, fmt::format("{}: resumed at step {}", phase, search.step()));
  } else if (stage_config.warm_start && previous_space) {
    warm_start(supernet, *previous_space, supernet_file(weights_folder, *stage_before(stage)));
  }

  const int first = search.step();
  int last_checkpoint = first;
  const auto start = std::chrono::steady_clock::now();
  StageResult found;
  {
    const double images = double(options.batch_size) * tunas.samples_per_step;
    Progress progress(phase, first, tunas.steps, images, session.quiet);
    const auto state_of = [&] { return Json{{"search", search.state()}, {"accuracies", known}}; };
    const auto after_step = [&](const StepRecord& record) {
      run.log(record_json(phase, record));
      progress.update(search.step(),
                      fmt::format("loss {:.3f}  reward {:.3f}", record.loss, record.reward));
      if (search.done()) {
        say_rates(run, session, phase, (tunas.steps - first) * images, seconds_since(start),
                  supernet.loader());
        save_weights(supernet_file(run.file("."), stage), supernet.parameters());
      }
      checkpoint_if_due(run, session, search.step(), state_of, supernet.state());
      if (search.step() % session.checkpoint_every == 0) last_checkpoint = search.step();
    };
    RecordedWeights recorded(weights, known, [&](const std::vector<double>& accuracies) {
      known = accuracies;
      checkpoint_if_due(run, session, int(known.size()), state_of, supernet.state());
    });
    try {
      found = run_stage(search, recorded, after_step);
    } catch (const Error&) {
      throw;
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(phase + ": " + error.what() +
                               "; last good checkpoint: " + run.file("checkpoint.safetensors") +
                               ", step " + std::to_string(last_checkpoint));
    }
    say(session,
        fmt::format("{}: of the steps' time {:.2f} % is slicing", phase,
                    100 * supernet.slicing_seconds() / std::max(1e-9, supernet.step_seconds())));
    say_damaged(data, session);
  }

  Architecture architecture = decode(space, found.best.decisions);
  architecture.name = config.space.name + "-" + phase;
  Json candidates = Json::array();
  for (const Candidate& candidate : found.candidates) {
    candidates.push_back(candidate_json(candidate, reward));
  }
  const bool learned = tunas.method == SearchMethod::kTunas;
  const Candidate& argmax = learned ? found.argmax : found.best;
  const Json result = {
      {"space", space.name},
      {"method", to_string(tunas.method)},
      {"size", size(space)},
      {"share_in_common", common},
      {"targets", targets_json(reward)},
      {"argmax", candidate_json(argmax, reward)},
      {"best", candidate_json(found.best, reward)},
      {"chosen", !learned                                   ? "best of those tried"
                 : found.best.decisions == argmax.decisions ? "argmax"
                                                            : "re-evaluated candidate"},
      {"candidates", candidates},
      {"choices", choices_json(space, search.controller(), found.best.decisions)},
      {"architecture", to_yaml(architecture)}};
  run.finish(result);
  return result;
}

std::vector<Candidate> trial_phase(
    RunFolder& run, const std::string& phase, Supernet& supernet, const SearchSpace& space,
    const Reward& reward, int trials, uint64_t seed, const Session& session,
    const std::function<std::vector<Candidate>(const Trial&, std::mt19937_64&)>& search) {
  std::vector<double> known;
  if (const auto state = run.begin(phase)) known = accuracies_of(run, *state);
  SupernetWeights shared(supernet);
  Progress progress(phase, int(known.size()), trials, 1, session.quiet);
  RecordedWeights weights(shared, known, [&](const std::vector<double>& accuracies) {
    progress.update(int(accuracies.size()), fmt::format("accuracy {:.4f}", accuracies.back()));
    const bool stop = interrupted();
    if (stop || accuracies.size() % 8 == 0) run.checkpoint(Json(accuracies), {});
    if (stop) throw Interrupted();
  });
  const CostTable table(space, reward.ridge_points());
  std::mt19937_64 random(seed);
  return search({space, table, reward, weights}, random);
}

Json training_phase(RunFolder& run, const std::string& name, const Architecture& architecture,
                    const TrainOptions& options, const Dataset& data, const Session& session) {
  const std::string phase = "train " + name;
  if (const Json* result = run.result(phase)) return *result;
  Trainer trainer(architecture, data, options, session.machine);
  if (const auto state = run.begin(phase)) {
    const int step = state->is_number_integer() ? state->get<int>() : -1;
    if (step < 0 || step > trainer.steps()) {
      throw Error(run.file("checkpoint.safetensors"), 0,
                  "is damaged; start anew with another --out");
    }
    trainer.set_step(step);
    run.restore(trainer.state());
    say(session, fmt::format("{}: resumed at step {}", phase, trainer.step()));
  }
  const int first = trainer.step();
  const auto start_time = std::chrono::steady_clock::now();
  {
    Progress progress(phase, trainer.step(), trainer.steps(), options.batch_size, session.quiet);
    while (trainer.step() < trainer.steps()) {
      const int step = trainer.step();
      const double loss = trainer.advance();
      run.log({{"phase", phase}, {"step", step}, {"loss", loss}});
      progress.update(trainer.step(), fmt::format("loss {:.3f}", loss));
      checkpoint_if_due(
          run, session, trainer.step(), [&] { return Json(trainer.step()); }, trainer.state());
    }
  }
  say_rates(run, session, phase, double(options.batch_size) * (trainer.steps() - first),
            seconds_since(start_time), trainer.loader());
  const auto accuracy = [&](const char* split, const ImageSet& set, int64_t most) -> Json {
    if (set.size() == 0) return {};
    const Accuracy a = trainer.evaluate(set, most);
    return {{"split", split},
            {"images", std::min(set.size(), most)},
            {"top1", a.top1},
            {"top5", a.top5},
            {"loss", a.loss}};
  };
  constexpr int64_t kMostTrainImages = 10000;
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  const std::string start =
      options.initial_weights.empty() ? "from scratch" : "from " + options.initial_weights;
  Json result = {{"architecture", architecture.name},
                 {"data", data.name},
                 {"weights", start},
                 {"epochs", options.epochs}};
  if (options.distillation) result["teacher"] = options.distillation.teacher_name();
  if (options.ema > 0) result["ema"] = options.ema;
  result["train"] = accuracy("train", data.train, kMostTrainImages);
  result["search_validation"] = accuracy("search-validation", data.search_validation, kAll);
  result["test"] = accuracy("test", data.test, kAll);
  say_damaged(data, session);
  save_weights(run.file(name + ".safetensors"), trainer.result());
  run.finish(result);
  say(session, fmt::format("{}: top-1 {} after {} epochs {}", phase, top1_text(result),
                           options.epochs, start));
  return result;
}

std::string top1_text(const Json& training_result) {
  std::string text;
  for (const char* key : {"train", "search_validation", "test"}) {
    const Json& accuracy = training_result[key];
    if (accuracy.is_null()) continue;
    const auto split = accuracy["split"].get<std::string>();
    text += fmt::format("{}{} {:.2f} %", text.empty() ? "" : ", ", split,
                        100 * accuracy["top1"].get<double>());
    if (split == "train") {
      text += fmt::format(" of {} images without augmentation", accuracy["images"].get<int64_t>());
    }
  }
  return text;
}

}  // namespace ridgewalk
