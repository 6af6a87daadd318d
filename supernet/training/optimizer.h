// Optimisers over a flat ParameterStore.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "space/names.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

enum class OptimizerKind { kSgd, kRmsProp, kAdamW };
template <>
inline constexpr auto kNames<OptimizerKind> =
    name_table<OptimizerKind>("optimizer", {{OptimizerKind::kSgd, "sgd"},
                                            {OptimizerKind::kRmsProp, "rmsprop"},
                                            {OptimizerKind::kAdamW, "adamw"}});

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double learning_rate = 0.1;  // at the peak of the schedule
  double warmup = 0.025;       // share of the steps over which the rate rises linearly
  double cosine_alpha = 0;     // share of the peak at which the schedule ends
  double constant_end = 0;     // share of the steps, the last ones, at that rate
  double momentum = 0.9;       // Nesterov's for SGD; beta1 of AdamW
  double decay = 0.999;        // of the second moment; TuNAS' RMSProp has 0.9
  double epsilon = 1e-8;       // TuNAS' RMSProp has 1, under the root
  // Decoupled decay, and l2 / 2 |w|^2 in the loss: of the convolution and linear weights that this
  // step's samples used. Norms, biases and layer scales have none.
  double weight_decay = 0;
  double l2 = 0;
  double clip_norm = 0;  // longer gradients (l2's part included) are scaled to this norm; 0: off
  bool operator==(const OptimizerOptions&) const = default;
};

// Where only the kind is given: AdamW's learning rate differs from SGD's.
OptimizerOptions default_options(OptimizerKind kind);

// Linear warm-up, then a cosine from 1 to `alpha`, in [0, 1], which the last `constant_end` of the
// steps keep.
double schedule(int step, int steps, double warmup, double alpha = 0, double constant_end = 0);

// One update of an exponential moving average of `values`, in place. The decay rises with the
// number of earlier updates, min(decay, (1 + updates) / (10 + updates)), so that the start is soon
// forgotten (TensorFlow's ExponentialMovingAverage; TF Model Garden's dynamic_decay).
void update_average(torch::Tensor average, const torch::Tensor& values, double decay, int updates);

// A tensor of Optimizer::state().
inline constexpr const char* kSecondMoment = "optimizer.second_moment";

class Optimizer {
 public:
  Optimizer(ParameterStore& store, const OptimizerOptions& options);

  // One update of the store's learned values from its grads(), which are then zero. `step` counts
  // from 0 to `steps`.
  void step(int step, int steps);

  // The moments, for checkpoints, restored in place: name and tensor.
  std::vector<std::pair<std::string, torch::Tensor>> state() const;

 private:
  void update(double rate, int step, const torch::Tensor& used);

  ParameterStore& store_;
  OptimizerOptions options_;
  torch::Tensor first_moment_, second_moment_;
};

}  // namespace ridgewalk
