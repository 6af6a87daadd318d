#include "experiments/run/training_phase.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "experiments/run/progress.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/formats/weights.h"
#include "supernet/training/lanes.h"

namespace ridgewalk {
namespace {

// Throws Error when the weights of a finished training cannot be read.
void require_weights(const std::string& path) {
  const std::string remedy = "restore it, or train again with another --out";
  if (!path_exists(path)) {
    throw Error(path, 0, "is gone, though the training that wrote it is finished; " + remedy);
  }
  try {
    read_provenance(path);
  } catch (const Error& error) {
    throw Error(std::string(error.what()) + "; " + remedy);
  }
}

std::string phase_of(const std::string& name) { return "train " + name; }

// From the run's checkpoint, if it has one, to the last step.
void train(const RunContext& context, const std::string& phase, Trainer& trainer, int batch_size) {
  const auto& [run, data, session] = context;
  if (const auto step = run.begin<int>(phase)) {
    if (*step < 0 || *step > trainer.steps()) throw run.damaged();
    trainer.set_step(*step);
    run.restore(trainer.state());
    require_possible(trainer.parameters(), run.checkpoint_file());
    say(session, fmt::format("{}: resumed at step {}", phase, trainer.step()));
  }
  const int first = trainer.step();
  // Stopped while it was evaluated. Just before, after the last step, its rates are still unknown.
  if (first > 0 && first == trainer.steps() && run.rates(phase)) return;
  const auto start = std::chrono::steady_clock::now();
  {
    Progress progress(phase, first, trainer.steps(), batch_size, session.quiet);
    while (trainer.step() < trainer.steps()) {
      const int step = trainer.step();
      const double loss = trainer.advance();
      run.log({{"phase", phase}, {"step", step}, {"loss", loss}});
      progress.update(trainer.step(), fmt::format("loss {:.3f}", loss));
      checkpoint_if_due(
          context, session.checkpoint_every, trainer.step(), [&] { return Json(trainer.step()); },
          trainer.state());
    }
  }
  say_rates(context, phase, double(batch_size) * (trainer.steps() - first), seconds_since(start),
            trainer.loader());
}

}  // namespace

TrainingResult training_phase(const RunContext& context, const std::string& name,
                              const Architecture& architecture, const TrainOptions& options) {
  const auto& [run, data, session] = context;
  const std::string phase = phase_of(name);
  const std::string weights = run.file(name + ".safetensors");
  if (const auto result = run.result<TrainingResult>(phase)) {
    require_weights(weights);
    return *result;
  }
  Trainer trainer(architecture, data, options, session.compute);
  train(context, phase, trainer, options.batch_size);
  // What was learned is safe before images are read that may not be decodable.
  run.checkpoint(Json(trainer.step()), trainer.state());
  save_weights(weights, trainer.result(), torch::kFloat, trainer.provenance());

  constexpr int64_t kMostTrainImages = 10000;
  TrainingResult result{.architecture = architecture.name,
                        .data = data.name,
                        .weights = options.initial_weights.empty()
                                       ? "from scratch"
                                       : "from " + options.initial_weights,
                        .epochs = options.epochs,
                        .ema = options.ema};
  if (options.distillation) result.teacher = options.distillation.teacher_name();
  result.train = trainer.evaluate(data.train, {.most = kMostTrainImages});
  if (data.search_validation.size() > 0) {
    result.search_validation = trainer.evaluate(data.search_validation);
  }
  const Accuracy test = trainer.evaluate(data.test, {.of_all_classes = true});
  if (test.not_finite > 0) {
    say(session, fmt::format("{}: logits of {} of {} test images are not finite: it diverged; "
                             "lower the learning rate",
                             phase, test.not_finite, test.images));
  }
  result.test = test;
  say_damaged(data, session);
  run.finish(result);
  say(session, fmt::format("{}: top-1 {} after {} epochs {}", phase, top1_text(result),
                           options.epochs, result.weights));
  return result;
}

QuantizedNetwork quantization_aware_phase(const RunContext& context, const QuantizationAware& aware,
                                          const TrainOptions& options) {
  Trainer trainer(aware, context.data, options, context.session.compute);
  train(context, "qat", trainer, options.batch_size);
  context.run.checkpoint(Json(trainer.step()), trainer.state());
  return trainer.quantized();
}

std::vector<TrainingResult> training_phases(const RunContext& context,
                                            const std::vector<TrainingTask>& tasks) {
  const auto& [run, data, session] = context;
  std::vector<std::optional<TrainingResult>> results;
  std::vector<size_t> missing;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const TrainingTask& task = tasks[i];
    results.push_back(run.result<TrainingResult>(phase_of(task.name)));
    if (!results[i]) {
      missing.push_back(i);
    } else {
      run.drop_part(task.name);
      training_phase(context, task.name, task.architecture, task.options);  // its weights are there
    }
  }
  std::stop_source stop;
  const std::stop_callback with_session(session.stop, [&] { stop.request_stop(); });
  Session own = session;
  own.stop = stop.get_token();
  const int side_by_side = session.compute.group ? 1 : session.compute.lanes;
  const int at_once = std::max(1, std::min(side_by_side, int(missing.size())));
  own.compute.lanes = session.compute.lanes / at_once;
  // What the lanes share is only read, the images, or locks itself: files that cannot be decoded,
  // the progress. Each has its own part of the run, loader, weights and random numbers.
  in_lanes(
      at_once, int64_t(missing.size()),
      [&](int64_t i) {
        const TrainingTask& task = tasks[missing[size_t(i)]];
        RunFolder part = run.part(task.name);
        results[missing[size_t(i)]] =
            training_phase({part, data, own}, task.name, task.architecture, task.options);
      },
      stop);
  if (stop.stop_requested()) throw Interrupted();
  for (size_t i : missing) run.adopt(run.part(tasks[i].name));
  std::vector<TrainingResult> all;
  for (auto& result : results) all.push_back(std::move(*result));
  return all;
}

}  // namespace ridgewalk
