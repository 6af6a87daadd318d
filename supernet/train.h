// Training a network from scratch.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "space/architecture.h"
#include "supernet/dataset.h"
#include "supernet/evaluate.h"
#include "supernet/optimizer.h"
#include "supernet/safetensors.h"

namespace ridgewalk {

struct TrainOptions {
  int epochs = 3;
  int batch_size = 128;
  OptimizerOptions optimizer;
  double label_smoothing = 0.1;
  Augmentation augmentation;
  uint64_t seed = 0;
};

// Tensors that a run needs to go on, by name; written to a checkpoint and copied back in place.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;
// Throws Error naming `path` and the tensor that is missing or of another shape.
void restore(const NamedTensors& state, const TensorFile& file, const std::string& path);

class Trainer {
 public:
  // Throws Error when the architecture's channels or classes are not the data's.
  Trainer(const Architecture& architecture, const Dataset& data, const TrainOptions& options,
          const Machine& machine);

  int step() const { return step_; }
  int steps() const { return steps_; }
  void set_step(int step) { step_ = step; }

  // One batch; returns its loss. Throws std::runtime_error naming the step when it is not finite.
  double advance();
  Accuracy evaluate(const ImageSet& set) const;

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
  BatchOrder order_;
  int step_ = 0;
  int steps_ = 0;
};

// Weights by timm's state-dict names, running statistics included.
void save_weights(const std::string& path, const ParameterStore& parameters);
// Throws Error naming the tensor that is missing, unknown or of another shape.
void load_weights(const std::string& path, ParameterStore& parameters);

}  // namespace ridgewalk
