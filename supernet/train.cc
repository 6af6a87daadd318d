#include "supernet/train.h"

#include <cmath>
#include <set>
#include <sstream>
#include <stdexcept>

#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

constexpr int64_t kEvaluationBatch = 500;

Graph graph_for(const Architecture& architecture, const Dataset& data) {
  if (architecture.channels != data.channels || architecture.classes != data.classes) {
    throw Error("architecture '" + architecture.name + "' takes " +
                std::to_string(architecture.channels) + " channels to " +
                std::to_string(architecture.classes) + " classes; " + data.name + " has " +
                std::to_string(data.channels) + " and " + std::to_string(data.classes) +
                " (--channels and --classes change them)");
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
    torch::NoGradGuard no_grad;
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
                 const Machine& machine)
    : data_(data),
      options_(options),
      machine_(machine),
      parameters_(graph_for(architecture, data), machine.device),
      network_(lower(architecture), parameters_),
      optimizer_(parameters_, options.optimizer),
      order_(data.train.size(), options.batch_size, mix(options.seed, 1)),
      steps_(int(order_.batches_per_epoch()) * options.epochs) {
  parameters_.initialize(mix(options.seed, 2));
}

double Trainer::advance() {
  const Batch batch = make_batch(data_, data_.train, order_.indices(step_), options_.augmentation,
                                 mix(mix(options_.seed, 3), uint64_t(step_)));
  torch::Tensor loss;
  {
    const Autocast autocast(machine_.precision, machine_.device);
    const auto images = fit(batch.images, network_.graph(), machine_.device);
    const auto logits = network_.forward(images, NormMode::kTraining).to(torch::kFloat);
    loss = torch::cross_entropy_loss(logits, batch.labels.to(machine_.device), {},
                                     at::Reduction::Mean, -100, options_.label_smoothing);
  }
  const double value = loss.item<double>();
  if (!std::isfinite(value)) {
    throw std::runtime_error("the loss of '" + network_.graph().name + "' is not finite at step " +
                             std::to_string(step_) + "; lower the learning rate");
  }
  loss.backward();
  optimizer_.step(step_, steps_);
  ++step_;
  return value;
}

Accuracy Trainer::evaluate(const ImageSet& set) const {
  return ridgewalk::evaluate(network_, data_, set, NormMode::kRunning, machine_, kEvaluationBatch);
}

NamedTensors Trainer::state() const {
  NamedTensors state{{"values", parameters_.values()}};
  for (auto& moment : optimizer_.state()) state.push_back(std::move(moment));
  return state;
}

void save_weights(const std::string& path, const ParameterStore& parameters) {
  TensorFile file{.metadata = {{"format", "pt"}}, .tensors = {}};
  for (const Parameter& parameter : parameters.parameters()) {
    file.tensors.emplace_back(parameter.name, parameters.full(parameter.name));
    if (parameter.role == ParameterRole::kRunningVar) {
      const std::string module = parameter.name.substr(0, parameter.name.rfind('.'));
      file.tensors.emplace_back(module + ".num_batches_tracked", torch::zeros({}, torch::kLong));
    }
  }
  write_safetensors(path, file);
}

void load_weights(const std::string& path, ParameterStore& parameters) {
  const TensorFile file = read_safetensors(path);
  std::set<std::string> known;
  for (const Parameter& parameter : parameters.parameters()) known.insert(parameter.name);
  for (const auto& [name, tensor] : file.tensors) {
    if (!known.contains(name) && !name.ends_with(".num_batches_tracked")) {
      throw Error(path, 0, "tensor '" + name + "' is not of this network");
    }
  }
  for (const Parameter& parameter : parameters.parameters()) {
    copy_into(parameters.full(parameter.name), parameter.name, file, path);
  }
}

}  // namespace ridgewalk
