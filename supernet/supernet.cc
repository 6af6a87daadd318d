#include "supernet/supernet.h"

#include <chrono>
#include <cmath>

#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// Adds its lifetime to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& seconds_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Supernet::Supernet(const SearchSpace& space, const Dataset& data, const SupernetOptions& options,
                   const Compute& compute)
    : space_(space),
      data_(data),
      options_(options),
      compute_(compute),
      parameters_(space, compute.device),
      optimizer_(parameters_, options.optimizer),
      batches_(data,
               {.size = options.batch_size,
                .augmentation = options.augmentation,
                .label_smoothing = options.label_smoothing,
                .distillation = options.distillation,
                .order_seed = mix(options.seed, 11),
                .draw_seed = mix(options.seed, 14)},
               compute),
      validation_order_(data.search_validation.size(), options.validation_batch_size,
                        mix(options.seed, 12)) {
  parameters_.initialize(mix(options.seed, 13));
}

Executor Supernet::bind(const Decisions& sample) {
  const Stopwatch watch(slicing_seconds_);
  return Executor(lower(decode_blended(space_, sample)), parameters_);
}

double Supernet::train(int step, std::span<const Decisions> samples) {
  const Stopwatch watch(step_seconds_);
  std::vector<torch::Tensor> losses;  // read after the loop: a GPU is waited for only once
  for (size_t k = 0; k < samples.size(); ++k) {
    const Executor network = bind(samples[k]);
    const Batch batch = batches_.batch(int64_t(step) * int64_t(samples.size()) + int64_t(k));
    torch::Tensor loss;
    {
      const Autocast autocast(compute_.precision, compute_.device);
      const auto images = network_input(batch.images, network.graph(), compute_.device);
      loss = classification_loss(network.forward(images, NormMode::kBatch), batch,
                                 batches_.label_smoothing(), batches_.temperature());
    }
    (loss * (1.0 / double(samples.size()))).backward();
    losses.push_back(loss.detach());
  }
  double sum = 0;
  for (const torch::Tensor& loss : losses) sum += loss.item<double>();
  if (!std::isfinite(sum)) return sum;
  optimizer_.step(step, options_.steps);
  return sum / double(samples.size());
}

std::vector<double> Supernet::accuracy(int step, std::span<const Decisions> samples) {
  const Stopwatch watch(step_seconds_);
  at::NoGradGuard no_grad;
  const Batch batch =
      make_evaluation_batch(data_, data_.search_validation, validation_order_.indices(step));
  if (batch.labels.size(0) == 0) {
    throw Error(data_.name, 0, "has a batch of held-out images of which none can be decoded");
  }
  const auto labels = batch.labels.to(compute_.device);
  const auto on_device = batch.images.to(compute_.device);
  std::vector<torch::Tensor> hits;  // read after the loop, as the losses of train()
  for (const Decisions& sample : samples) {
    const Executor network = bind(sample);
    const Autocast autocast(compute_.precision, compute_.device);
    const auto images = network_input(on_device, network.graph(), compute_.device);
    hits.push_back(network.forward(images, NormMode::kBatch).argmax(1).eq(labels).sum());
  }
  std::vector<double> accuracies;
  for (const torch::Tensor& count : hits) {
    accuracies.push_back(double(count.item<int64_t>()) / double(labels.size(0)));
  }
  return accuracies;
}

Accuracy Supernet::validate(const Decisions& sample) {
  return evaluate(bind(sample), data_, data_.search_validation, compute_,
                  {.mode = NormMode::kBatch, .batch_size = options_.validation_batch_size});
}

NamedTensors Supernet::state() const {
  NamedTensors state{{"values", parameters_.values()}};
  for (auto& moment : optimizer_.state()) state.push_back(std::move(moment));
  return state;
}

}  // namespace ridgewalk
