// Training a network from scratch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "space/architecture.h"
#include "supernet/evaluate.h"
#include "supernet/loader.h"
#include "supernet/optimizer.h"
#include "supernet/safetensors.h"
#include "supernet/weights.h"

namespace ridgewalk {

struct TrainOptions {
  int epochs = 3;
  int batch_size = 128;
  OptimizerOptions optimizer;
  double label_smoothing = 0.1;
  Initialization initialization = Initialization::kResidual;
  std::optional<double> drop_path, dropout;  // in place of the architecture's
  // A safetensors file to start from, if not empty; its head anew where the classes differ.
  std::string initial_weights;
  bool reset_head = false;
  Augmentation augmentation;
  uint64_t seed = 0;
};

// Tensors that a run needs to go on, by name; written to a checkpoint and copied back in place.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;
// Throws Error naming `path` and the tensor that is missing or of another shape.
void restore(const NamedTensors& state, const TensorFile& file, const std::string& path);

class Trainer {
 public:
  // Throws Error when the architecture's channels or classes are not the data's, or the initial
  // weights are not the architecture's.
  Trainer(const Architecture& architecture, const Dataset& data, const TrainOptions& options,
          const Machine& machine);

  int step() const { return step_; }
  int steps() const { return steps_; }
  void set_step(int step) { step_ = step; }

  // One batch; returns its loss. Throws std::runtime_error naming the step when it is not finite.
  double advance();
  Accuracy evaluate(const ImageSet& set) const;
  const Loader& loader() const { return loader_; }

  NamedTensors state() const;
  ParameterStore& parameters() { return parameters_; }
  const Executor& network() const { return network_; }

 private:
  const Dataset& data_;
  TrainOptions options_;
  Machine machine_;
  ParameterStore parameters_;
  Executor network_;
  Optimizer optimizer_;
  Loader loader_;
  int step_ = 0;
  int steps_ = 0;
};

}  // namespace ridgewalk
