#include "supernet/training/train.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/slices.h"
#include "supernet/training/lanes.h"
#include "supernet/training/provenance_check.h"
#include "supernet/training/step_exchange.h"

namespace ridgewalk {
namespace {

void require_enough_images(const Dataset& data, const TrainOptions& options) {
  const int64_t images = std::min<int64_t>(options.batch_size, data.train.size());
  if (images < 2) {
    throw Error(data.name, 0, "has only one training image; batch norm needs two");
  }
  if (images < 2 * int64_t(options.shards)) {
    throw Error(std::to_string(options.shards) + " shards of a batch of " + std::to_string(images) +
                " images: batch norm needs two images in each; give fewer shards");
  }
}

Graph graph_for(Architecture architecture, const Dataset& data, const TrainOptions& options) {
  Regularization& regularization = architecture.regularization;
  if (options.drop_path) {
    regularization.drop_path = *options.drop_path;
    regularization.flat_drop_path = false;  // the option is a peak
  }
  regularization.dropout = options.dropout.value_or(regularization.dropout);
  require_fits(architecture, data);
  require_enough_images(data, options);
  return lower(architecture);
}

Compute in_fp32(Compute compute) {
  compute.precision = DataType::kFp32;
  return compute;
}

void copy_into(torch::Tensor target, const std::string& name, const TensorFile& file,
               const std::string& path) {
  for (const auto& [known, tensor] : file.tensors) {
    if (known != name) continue;
    if (tensor.sizes() != target.sizes() || tensor.scalar_type() != target.scalar_type()) {
      std::ostringstream shapes;
      shapes << "tensor '" << name << "' is " << tensor.sizes() << ", expected " << target.sizes();
      throw Error(path, 0, shapes.str() + "; it belongs to another network");
    }
    if (!tensor.isfinite().all().item<bool>()) {
      throw Error(path, 0, "tensor '" + name + "' holds NaN or infinity");
    }
    if (name == kSecondMoment && tensor.lt(0).any().item<bool>()) {
      throw Error(path, 0, "tensor '" + name + "' holds a negative mean square");
    }
    at::NoGradGuard no_grad;
    target.copy_(tensor);
    return;
  }
  throw Error(path, 0, "lacks tensor '" + name + "'; it belongs to another network");
}

}  // namespace

void restore(const NamedTensors& state, const TensorFile& file, const std::string& path) {
  for (const auto& [name, tensor] : state) copy_into(tensor, name, file, path);
}

Trainer::Trainer(const Architecture& architecture, const Dataset& data, const TrainOptions& options,
                 const Compute& compute)
    : Trainer(graph_for(architecture, data, options), {}, data, options, compute) {
  parameters_.initialize(mix(options.seed, 2), options.initialization);
  if (!options.initial_weights.empty()) start_from_weights(architecture);
  start_average({});
}

Trainer::Trainer(const QuantizationAware& aware, const Dataset& data, const TrainOptions& options,
                 const Compute& compute)
    : Trainer(aware.folded.graph, scale_parameters(aware.simulation), data, options,
              in_fp32(compute)) {
  require_enough_images(data, options);
  parameters_.copy_common(aware.folded.parameters);
  initialize_scales(aware.simulation, parameters_);
  if (const auto& learned = aware.folded.provenance) {
    require_unseen(learned->learned, network_.graph().name, data);
    before_ = learned->learned;
  }
  frozen_from_ = int(aware.frozen_from * steps_);
  start_average(scale_parameters(aware.simulation));
  simulate(aware.simulation);
}

Trainer::Trainer(Graph graph, const std::vector<Parameter>& more, const Dataset& data,
                 const TrainOptions& options, const Compute& compute)
    : data_(data),
      options_(options),
      compute_(compute),
      parameters_(graph, compute.device, more),
      network_(std::move(graph), parameters_),
      shards_(shard_networks()),
      optimizer_(parameters_, options.optimizer),
      batches_(data,
               {.size = options.batch_size,
                .augmentation = options.augmentation,
                .label_smoothing = options.label_smoothing,
                .distillation = options.distillation,
                .order_seed = mix(options.seed, 1),
                .draw_seed = mix(options.seed, 3),
                .shards = options.shards,
                .per_step = options.shards},
               compute),
      steps_(int(batches_.per_epoch()) * options.epochs) {}

void Trainer::start_average(const std::vector<Parameter>& more) {
  if (options_.ema == 0) return;
  average_.emplace(network_.graph(), compute_.device, more);
  average_->copy_common(parameters_);
  averaged_network_.emplace(network_.graph(), *average_);
}

void Trainer::simulate(const SimulationPlan& plan) {
  const auto round = [&](Executor& network, ParameterStore& store, size_t leaves) {
    simulations_.push_back(std::make_shared<Simulation>(plan, store, leaves));
    network.round(simulations_.back());
  };
  round(network_, parameters_, 0);
  for (size_t s = 0; s < shards_.size(); ++s) round(shards_[s], parameters_, s + 1);
  if (averaged_network_) round(*averaged_network_, *average_, 0);
}

QuantizedNetwork Trainer::quantized() const {
  Network folded{network_.graph(), ParameterStore(network_.graph()), provenance()};
  folded.parameters.copy_common(result());
  const Simulation& simulation = average_ ? *simulations_.back() : *simulations_.front();
  return quantize_with(simulation.quantized(), folded);
}

void Trainer::start_from_weights(const Architecture& architecture) {
  const std::string& path = options_.initial_weights;
  at::NoGradGuard no_grad;
  NamedTensors head;
  for (const Parameter& parameter : parameters_.parameters()) {
    if (!parameter.name.starts_with("classifier.")) continue;
    const torch::Tensor own = parameters_.full(parameter.name);
    head.emplace_back(parameter.name, own.clone());
  }
  std::optional<Provenance> weights;
  if (options_.inherited_space) {
    ParameterStore shared(*options_.inherited_space);
    weights = load_weights(path, shared);
    copy_slices(shared, *options_.inherited_space, architecture, parameters_);
  } else {
    weights = load_weights(path, parameters_, options_.reset_head);
  }
  if (!weights) return;
  require_unseen(weights->learned, path, data_);
  before_ = weights->learned;
  if (!options_.reset_head) return require_same_classes(*weights, path, data_);
  if (has_same_classes(*weights, data_)) return;
  for (const auto& [name, fresh] : head) parameters_.full(name).copy_(fresh);
}

std::vector<Executor> Trainer::shard_networks() {
  std::vector<Executor> networks;
  if (options_.shards == 1) return networks;
  const size_t count = size_t(options_.shards);
  parameters_.separate_statistics(1, count);
  for (size_t s = 1; s <= count; ++s) networks.emplace_back(network_.graph(), parameters_, s);
  return networks;
}

// Leaves `share` times the gradients of the batch's loss in the network's leaves, and returns the
// loss.
torch::Tensor Trainer::add_gradients(const Executor& network, const Batch& batch, double share,
                                     uint64_t drop_seed) const {
  torch::Tensor loss;
  {
    const Autocast autocast(compute_.precision, compute_.device);
    const auto images = network_input(batch.images, network.graph(), compute_.device);
    const NormMode mode = is_quantization_aware() ? NormMode::kRunning : NormMode::kTraining;
    const auto logits = network.forward(images, mode, drop_seed);
    loss = classification_loss(logits, batch, batches_.label_smoothing(), batches_.temperature());
  }
  (share == 1 ? loss : loss * share).backward();
  return loss.detach();
}

// The mean loss. Running statistics become the mean of those that each shard makes of them.
double Trainer::advance_in_shards() {
  const size_t count = shards_.size();
  const int64_t images = std::min<int64_t>(options_.batch_size, data_.train.size());
  const auto share = [&](size_t s) {
    const auto first = int64_t(s) * images / int64_t(count);
    return double(int64_t(s + 1) * images / int64_t(count) - first) / double(images);
  };
  const std::vector<int64_t> own = dealt(int64_t(count), compute_.group.get());
  std::vector<TrainingBatches::Begun> begun(count);
  for (int64_t s : own) begun[size_t(s)] = batches_.begun(step_ * int64_t(count) + s);
  std::vector<torch::Tensor> losses(count);
  parameters_.begin_statistics();
  in_lanes(compute_.lanes, int64_t(own.size()), [&](int64_t i) {
    const auto s = size_t(own[size_t(i)]);
    const uint64_t seed = mix(mix(mix(options_.seed, 4), uint64_t(step_)), uint64_t(s));
    losses[s] = add_gradients(shards_[s], batches_.finished(std::move(begun[s])), share(s), seed);
  });
  if (compute_.group) {
    std::vector<StepPiece> pieces;
    for (size_t s = 0; s < count; ++s) {
      if (!losses[s].defined()) losses[s] = torch::empty({});
      pieces.push_back({.owner = int(s) % compute_.group->size(),
                        .values = {losses[s], parameters_.statistics(s + 1)},
                        .leaves = shards_[s].learned()});
    }
    sum_gradients(*compute_.group, pieces, parameters_);
  } else {
    parameters_.collect_gradients(learned(shards_));
  }
  parameters_.average_statistics();
  double mean = 0;
  for (size_t s = 0; s < count; ++s) mean += share(s) * losses[s].item<double>();
  return mean;
}

double Trainer::advance() {
  if (step_ >= frozen_from_) {
    for (const auto& simulation : simulations_) simulation->freeze();
  }
  // The loss is read after the backward pass: a GPU is waited for only once.
  const double value = !shards_.empty() ? advance_in_shards()
                                        : add_gradients(network_, batches_.batch(step_), 1,
                                                        mix(mix(options_.seed, 4), uint64_t(step_)))
                                              .item<double>();
  if (!std::isfinite(value)) {
    throw std::runtime_error("the loss of '" + network_.graph().name + "' is not finite at step " +
                             std::to_string(step_) + "; lower the learning rate");
  }
  if (shards_.empty()) parameters_.collect_gradients(network_.learned());
  optimizer_.step(step_, steps_);
  if (average_) update_average(average_->values(), parameters_.values(), options_.ema, step_);
  ++step_;
  return value;
}

Accuracy Trainer::evaluate(const ImageSet& set, const EvaluationOptions& options) const {
  return ridgewalk::evaluate(averaged_network_ ? *averaged_network_ : network_, data_, set,
                             compute_, options);
}

Provenance Trainer::provenance() const {
  std::vector<LearnedImages> before = before_;
  add(batches_.learned_by_teacher(), before);
  return provenance_of(data_, std::move(before));
}

NamedTensors Trainer::state() const {
  NamedTensors state{{"values", parameters_.values()}};
  for (auto& moment : optimizer_.state()) state.push_back(std::move(moment));
  if (average_) state.emplace_back("ema", average_->values());
  return state;
}

}  // namespace ridgewalk
