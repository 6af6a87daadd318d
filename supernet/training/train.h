// Training a network, from scratch or from weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "space/architecture.h"
#include "space/search_space.h"
#include "supernet/data/loader.h"
#include "supernet/formats/safetensors.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/simulation.h"
#include "supernet/training/evaluate.h"
#include "supernet/training/optimizer.h"
#include "supernet/training/training_batches.h"

namespace ridgewalk {

struct TrainOptions {
  int epochs = 3;
  int batch_size = 128;
  // Parts that a batch is cut into, each with batch norm statistics of its own, shared out to lanes
  // and to the processes of a group. Results depend on it, and not on who computes the parts.
  int shards = 1;
  OptimizerOptions optimizer = default_options(OptimizerKind::kAdamW);
  double label_smoothing = 0.1;
  Initialization initialization = Initialization::kResidual;
  // If given, these replace the architecture's; drop_path is the last block's and grows linearly up
  // to it.
  std::optional<double> drop_path = {}, dropout = {};
  double ema = 0;  // decay of the average of the weights that is evaluated and saved; 0: none
  std::string initial_weights = {};  // a safetensors file to start from, if not empty
  // If given, those are the shared weights of this space, and the network is a member of it.
  std::optional<SearchSpace> inherited_space = {};
  bool reset_head = false;  // start with a new head where the classes differ
  Augmentation augmentation = {};
  Distillation distillation = {};
  uint64_t seed = 0;
};

// Training in which quantisation is simulated (QAT). The graph is folded: norms that it still has
// use their running statistics, nothing is dropped, and all is computed in fp32.
struct QuantizationAware {
  const Network& folded;  // where training starts
  SimulationPlan simulation;
  double frozen_from = 0.5;  // share of the steps after which observed scales stay as they are
};

// Tensors that a run needs to be resumed, by name; written to a checkpoint and copied back in
// place.
using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;
// Throws Error naming `path` and the tensor that is missing, of another shape, or holds what it
// cannot: NaN, infinity, a negative second moment.
void restore(const NamedTensors& state, const TensorFile& file, const std::string& path);

class Trainer {
 public:
  // Throws Error when the architecture's channels or classes are not the data's, the initial
  // weights are not the architecture's or were trained on other classes or on images held out here,
  // or the distillation is not of these data.
  Trainer(const Architecture& architecture, const Dataset& data, const TrainOptions& options,
          const Compute& compute);
  // Of a network that fits the data. `options` are read but for what says how training starts and
  // what it drops. Throws Error when the network was trained on images held out here.
  Trainer(const QuantizationAware& aware, const Dataset& data, const TrainOptions& options,
          const Compute& compute);

  int step() const { return step_; }
  int steps() const { return steps_; }
  void set_step(int step) { step_ = step; }

  // One batch; returns its loss. Throws std::runtime_error naming the step when it is not finite.
  double advance();
  // Of result().
  Accuracy evaluate(const ImageSet& set, const EvaluationOptions& options = {}) const;
  const Loader& loader() const { return batches_.loader(); }

  NamedTensors state() const;
  ParameterStore& parameters() { return parameters_; }
  const Executor& network() const { return network_; }
  // The average of the parameters, running statistics included, where the options ask for one, else
  // the parameters.
  const ParameterStore& result() const { return average_ ? *average_ : parameters_; }
  // Of result().
  Provenance provenance() const;

  // With the present scales, and the weights of result(). Only of a training that simulates it.
  QuantizedNetwork quantized() const;

 private:
  Trainer(Graph graph, const std::vector<Parameter>& more, const Dataset& data,
          const TrainOptions& options, const Compute& compute);
  void start_from_weights(const Architecture& architecture);
  void simulate(const SimulationPlan& plan);
  void start_average(const std::vector<Parameter>& more);
  std::vector<Executor> shard_networks();
  torch::Tensor add_gradients(const Executor& network, const Batch& batch, double share,
                              uint64_t drop_seed) const;
  double advance_in_shards();
  bool is_quantization_aware() const { return !simulations_.empty(); }

  const Dataset& data_;
  TrainOptions options_;
  Compute compute_;
  ParameterStore parameters_;
  Executor network_;
  std::vector<Executor> shards_;  // if there are several, with leaves and statistics of their own
  std::optional<ParameterStore> average_;
  std::optional<Executor> averaged_network_;
  // Of network_ and shards_, then of averaged_network_, where quantisation is simulated.
  std::vector<std::shared_ptr<Simulation>> simulations_;
  int frozen_from_ = 0;  // step
  Optimizer optimizer_;
  TrainingBatches batches_;
  std::vector<LearnedImages> before_;  // by the initial weights
  int step_ = 0;
  int steps_ = 0;
};

}  // namespace ridgewalk
