#include "supernet/training/train.h"

#include <cmath>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "space/error.h"
#include "space/lowering.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

Graph graph_for(Architecture architecture, const Dataset& data, const TrainOptions& options) {
  Regularization& regularization = architecture.regularization;
  if (options.drop_path) {
    regularization.drop_path = *options.drop_path;
    regularization.flat_drop_path = false;  // the option is a peak
  }
  regularization.dropout = options.dropout.value_or(regularization.dropout);
  require_fits(architecture, data);
  if (data.train.size() < 2) {
    throw Error(data.name, 0, "has only one training image; batch norm needs two");
  }
  return lower(architecture);
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
    : data_(data),
      options_(options),
      compute_(compute),
      parameters_(graph_for(architecture, data, options), compute.device),
      network_(graph_for(architecture, data, options), parameters_),
      optimizer_(parameters_, options.optimizer),
      batches_(data,
               {.size = options.batch_size,
                .augmentation = options.augmentation,
                .label_smoothing = options.label_smoothing,
                .distillation = options.distillation,
                .order_seed = mix(options.seed, 1),
                .draw_seed = mix(options.seed, 3)},
               compute),
      steps_(int(batches_.per_epoch()) * options.epochs) {
  parameters_.initialize(mix(options.seed, 2), options.initialization);
  if (!options.initial_weights.empty()) start_from_weights();
  if (options.ema > 0) {
    average_.emplace(network_.graph(), compute.device);
    average_->copy_common(parameters_);
    averaged_network_.emplace(network_.graph(), *average_);
  }
}

void Trainer::start_from_weights() {
  const std::string& path = options_.initial_weights;
  at::NoGradGuard no_grad;
  NamedTensors head;
  for (const Parameter& parameter : parameters_.parameters()) {
    if (!parameter.name.starts_with("classifier.")) continue;
    const torch::Tensor own = parameters_.full(parameter.name);
    head.emplace_back(parameter.name, own.clone());
  }
  const auto weights = load_weights(path, parameters_, options_.reset_head);
  if (!weights) return;
  require_unseen(weights->learned, path, data_);
  before_ = weights->learned;
  if (!options_.reset_head) return require_same_classes(*weights, path, data_);
  if (has_same_classes(*weights, data_)) return;
  for (const auto& [name, fresh] : head) parameters_.full(name).copy_(fresh);
}

double Trainer::advance() {
  const Batch batch = batches_.batch(step_);
  torch::Tensor loss;
  {
    const Autocast autocast(compute_.precision, compute_.device);
    const auto images = network_input(batch.images, network_.graph(), compute_.device);
    const auto logits =
        network_.forward(images, NormMode::kTraining, mix(mix(options_.seed, 4), uint64_t(step_)));
    loss = classification_loss(logits, batch, batches_.label_smoothing(), batches_.temperature());
  }
  loss.backward();
  const double value = loss.item<double>();  // after backward(): a GPU is waited for only once
  if (!std::isfinite(value)) {
    throw std::runtime_error("the loss of '" + network_.graph().name + "' is not finite at step " +
                             std::to_string(step_) + "; lower the learning rate");
  }
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
