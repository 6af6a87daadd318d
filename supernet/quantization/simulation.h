// Quantisation simulated while a network is trained: its weights and values are rounded as a
// quantised graph says, with scales that are learned or follow the batches.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "space/names.h"
#include "supernet/network/executor.h"
#include "supernet/quantization/fake_quantize.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {

// How scales move in training.
//   lsq: each is a parameter with a gradient of its own (arXiv:1902.08153).
//   observed: those of values follow the least and the largest value of each batch, as a moving
//     average; those of weights follow the weights.
enum class ScaleRule { kLsq, kObserved };
template <>
inline constexpr auto kNames<ScaleRule> = name_table<ScaleRule>(
    "rule of scales", {{ScaleRule::kLsq, "lsq"}, {ScaleRule::kObserved, "observed"}});

// What is simulated, and from where it starts.
struct SimulationPlan {
  QuantizedGraph start;         // of quantize(), for the folded graph that is trained
  RewriteOptions rewrite = {};  // that it was made with
  ScaleRule rule = ScaleRule::kLsq;
  double observer_momentum = 0.01;  // of the moving average: a batch's share
};

// Beside those of the graph: "value_scale.I" and "weight_scale.I" of ops[I], for a ParameterStore.
//   lsq: steps over those of the start, which are 1 then: [] and one for each scale. Their
//   gradients
//     are divided by the start's step twice, so that SGD moves steps as the paper does, and the
//     steps of other optimisers are shares of it.
//   observed: the least and the largest value, [2], and scales; no parameters, but statistics.
std::vector<Parameter> scale_parameters(const SimulationPlan& plan);
// At the start.
void initialize_scales(const SimulationPlan& plan, ParameterStore& store);

// For an executor of plan.start.graph with the same set of the store's leaves, which has the
// scale_parameters(), too. Moving averages are updated by passes that gradients are wanted of.
class Simulation : public Rounding {
 public:
  Simulation(const SimulationPlan& plan, ParameterStore& store, size_t leaves = 0);

  std::vector<torch::Tensor> parameters(size_t op,
                                        const std::vector<torch::Tensor>& own) const override;
  torch::Tensor input(size_t op, size_t place, const torch::Tensor& value) const override;
  torch::Tensor value(size_t op, const torch::Tensor& value) const override;
  std::vector<torch::Tensor> learned() const override;

  // From now on scales that are observed stay as they are.
  void freeze() { is_frozen_ = true; }
  // The graph with the present scales.
  QuantizedGraph quantized() const;

 private:
  bool observes() const;
  ValueScale value_scale(size_t op) const;
  torch::Tensor value_step(size_t op) const;
  torch::Tensor weight_step(size_t op) const;

  SimulationPlan plan_;
  std::vector<std::optional<ValueForm>> forms_;
  std::vector<torch::Tensor> value_scales_, weight_scales_;  // slices by op, undefined without one
  std::vector<torch::Tensor> value_starts_, weight_starts_;  // steps at the start
  bool is_frozen_ = false;
};

// The weights of a folded network as integers with these scales, biases at the scale of the
// products. Throws Error naming the weights that are not finite.
QuantizedNetwork quantize_with(const QuantizedGraph& scales, const Network& folded);

}  // namespace ridgewalk
