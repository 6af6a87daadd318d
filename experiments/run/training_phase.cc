#include "experiments/run/training_phase.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "experiments/run/progress.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

// From the run's checkpoint, if it has one, to the last step.
void train(const RunContext& context, const std::string& phase, Trainer& trainer, int batch_size) {
  const auto& [run, data, session] = context;
  if (const auto step = run.begin<int>(phase)) {
    if (*step < 0 || *step > trainer.steps()) throw run.damaged();
    trainer.set_step(*step);
    run.restore(trainer.state());
    say(session, fmt::format("{}: resumed at step {}", phase, trainer.step()));
  }
  const int first = trainer.step();
  const auto start = std::chrono::steady_clock::now();
  {
    Progress progress(phase, first, trainer.steps(), batch_size, session.quiet);
    while (trainer.step() < trainer.steps()) {
      const int step = trainer.step();
      const double loss = trainer.advance();
      run.log({{"phase", phase}, {"step", step}, {"loss", loss}});
      progress.update(trainer.step(), fmt::format("loss {:.3f}", loss));
      checkpoint_if_due(
          run, session.checkpoint_every, trainer.step(), [&] { return Json(trainer.step()); },
          trainer.state());
    }
  }
  say_rates(context, phase, double(batch_size) * (trainer.steps() - first), seconds_since(start),
            trainer.loader());
}

SplitAccuracy accuracy(const Trainer& trainer, const ImageSet& set,
                       int64_t most = std::numeric_limits<int64_t>::max()) {
  return {trainer.evaluate(set, most), std::min(set.size(), most)};
}

}  // namespace

TrainingResult training_phase(const RunContext& context, const std::string& name,
                              const Architecture& architecture, const TrainOptions& options) {
  const auto& [run, data, session] = context;
  const std::string phase = "train " + name;
  if (const auto result = run.result<TrainingResult>(phase)) return *result;
  Trainer trainer(architecture, data, options, session.compute);
  train(context, phase, trainer, options.batch_size);

  constexpr int64_t kMostTrainImages = 10000;
  TrainingResult result{.architecture = architecture.name,
                        .data = data.name,
                        .weights = options.initial_weights.empty()
                                       ? "from scratch"
                                       : "from " + options.initial_weights,
                        .epochs = options.epochs,
                        .ema = options.ema};
  if (options.distillation) result.teacher = options.distillation.teacher_name();
  result.train = accuracy(trainer, data.train, kMostTrainImages);
  if (data.search_validation.size() > 0) {
    result.search_validation = accuracy(trainer, data.search_validation);
  }
  result.test = accuracy(trainer, data.test);
  say_damaged(data, session);
  save_weights(run.file(name + ".safetensors"), trainer.result());
  run.finish(result);
  say(session, fmt::format("{}: top-1 {} after {} epochs {}", phase, top1_text(result),
                           options.epochs, result.weights));
  return result;
}

}  // namespace ridgewalk
