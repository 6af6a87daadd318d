#include "supernet/quantization/simulation.h"

#include <algorithm>
#include <utility>

#include "space/error.h"
#include "supernet/quantization/integer_arithmetic.h"

namespace ridgewalk {
namespace {

constexpr IntegerRange kWeightRange{-127, 127};
constexpr IntegerRange kBiasRange{-kLargestBias, kLargestBias};
constexpr double kLeastStep = 0.1;  // over that of the start: steps stay above 0

std::string value_name(size_t op) { return "value_scale." + std::to_string(op); }
std::string weight_name(size_t op) { return "weight_scale." + std::to_string(op); }

// Less the zero point.
IntegerRange integers_of(const ValueScale& scale) {
  return {lowest(scale.type) - scale.zero_point, highest(scale.type) - scale.zero_point};
}

// start * relative, with 1 / start in the place of start in the gradient.
torch::Tensor step_of(const torch::Tensor& relative, const torch::Tensor& start) {
  const torch::Tensor value = relative.detach();
  return start * value.clamp_min(kLeastStep) + (relative - value) / start;
}

torch::Tensor steps(const WeightScale& scale, torch::Device device) {
  const torch::Tensor all = torch::tensor(scale.scales).to(device);
  return scale.scales.size() == 1 ? all[0] : all;
}

// As the simulation has it, saturated: a learned step may have become too small for the bias.
torch::Tensor bounded_bias(const torch::Tensor& bias, float input_scale, const WeightScale& scale) {
  const torch::Tensor largest =
      (torch::tensor(scale.scales) * input_scale).expand_as(bias) * float(kBiasRange.highest);
  return quantized_bias(bias.minimum(largest).maximum(-largest), input_scale, scale);
}

}  // namespace

std::vector<Parameter> scale_parameters(const SimulationPlan& plan) {
  const bool is_learned = plan.rule == ScaleRule::kLsq;
  const auto forms = value_forms(plan.start.graph, plan.rewrite);
  const ParameterRole role = is_learned ? ParameterRole::kBias : ParameterRole::kRunningMean;
  std::vector<Parameter> all;
  for (size_t i = 0; i < forms.size(); ++i) {
    if (forms[i] && forms[i]->has_range()) {
      std::vector<int64_t> shape(is_learned ? 0 : 1, 2);
      all.push_back({.name = value_name(i), .shape = std::move(shape), .role = role});
    }
    if (const auto& weight = plan.start.weights[i]) {
      const auto count = int64_t(weight->scales.size());
      std::vector<int64_t> shape(count == 1 ? 0 : 1, count);
      all.push_back({.name = weight_name(i), .shape = std::move(shape), .role = role});
    }
  }
  return all;
}

void initialize_scales(const SimulationPlan& plan, ParameterStore& store) {
  at::NoGradGuard no_grad;
  const bool is_learned = plan.rule == ScaleRule::kLsq;
  const auto forms = value_forms(plan.start.graph, plan.rewrite);
  for (size_t i = 0; i < forms.size(); ++i) {
    if (forms[i] && forms[i]->has_range()) {
      const ValueScale& scale = *plan.start.values[i];
      const auto [lowest, highest] = integers_of(scale);
      const torch::Tensor value = store.full(value_name(i));
      if (is_learned) {
        value.fill_(1);
      } else {
        value[0] = scale.scale * float(scale.type == IntegerType::kS8 ? -highest : lowest);
        value[1] = scale.scale * float(highest);
      }
    }
    if (const auto& weight = plan.start.weights[i]) {
      const torch::Tensor value = store.full(weight_name(i));
      if (is_learned) {
        value.fill_(1);
      } else {
        value.copy_(steps(*weight, value.device()));
      }
    }
  }
}

Simulation::Simulation(const SimulationPlan& plan, ParameterStore& store, size_t leaves)
    : plan_(plan), forms_(value_forms(plan.start.graph, plan.rewrite)) {
  const size_t count = forms_.size();
  value_scales_.resize(count);
  value_starts_.resize(count);
  weight_scales_.resize(count);
  weight_starts_.resize(count);
  const torch::Device device = store.values().device();
  for (const Parameter& parameter : scale_parameters(plan)) {
    const size_t op = std::stoul(parameter.name.substr(parameter.name.find('.') + 1));
    const bool is_value = parameter.name == value_name(op);
    torch::Tensor slice = store.slice(parameter.name, parameter.shape, leaves);
    // Moving averages change between a forward and a backward pass that read others of the store.
    if (plan.rule == ScaleRule::kObserved) slice = slice.variable_data();
    (is_value ? value_scales_ : weight_scales_)[op] = slice;
  }
  for (size_t i = 0; i < count; ++i) {
    if (const auto& value = plan.start.values[i]) {
      value_starts_[i] = torch::tensor(value->scale).to(device);
    }
    if (const auto& weight = plan.start.weights[i]) weight_starts_[i] = steps(*weight, device);
  }
}

bool Simulation::observes() const {
  return plan_.rule == ScaleRule::kObserved && !is_frozen_ && at::GradMode::is_enabled();
}

// Without its rule.
ValueScale Simulation::value_scale(size_t op) const {
  const ValueForm& form = *forms_[op];
  if (form.same_as >= 0) return value_scale(size_t(form.same_as));
  const torch::Tensor& own = value_scales_[op];
  if (form.has_range() && plan_.rule == ScaleRule::kObserved) {
    return ridgewalk::value_scale(form, {own[0].item<double>(), own[1].item<double>()});
  }
  const ValueScale& start = *plan_.start.values[op];
  const float scale =
      form.has_range() ? step_of(own.detach(), value_starts_[op]).item<float>() : start.scale;
  return {.type = start.type, .scale = scale, .zero_point = start.zero_point, .rule = {}};
}

torch::Tensor Simulation::value_step(size_t op) const {
  const ValueForm& form = *forms_[op];
  if (form.same_as >= 0) return value_step(size_t(form.same_as));
  if (!form.has_range()) return value_starts_[op];
  if (plan_.rule == ScaleRule::kLsq) return step_of(value_scales_[op], value_starts_[op]);
  return torch::tensor(value_scale(op).scale).to(value_starts_[op].device());
}

torch::Tensor Simulation::weight_step(size_t op) const {
  if (plan_.rule == ScaleRule::kLsq) return step_of(weight_scales_[op], weight_starts_[op]);
  return weight_scales_[op];
}

// Integers are added with factors of 16 bits: sum_factor().
torch::Tensor Simulation::input(size_t op, size_t place, const torch::Tensor& value) const {
  const Op& add = plan_.start.graph.ops[op];
  if (add.kind != OpKind::kAdd || !forms_[op]) return value;
  for (int input : add.inputs) {
    if (!forms_[size_t(input)]) return value;
  }
  const ValueScale from = value_scale(size_t(add.inputs[place])), to = value_scale(op);
  return value * (double(sum_factor(from, to)) * double(to.scale) / double(from.scale));
}

torch::Tensor Simulation::value(size_t op, const torch::Tensor& value) const {
  if (!forms_[op] || forms_[op]->same_as >= 0) return value;
  if (forms_[op]->has_range() && observes()) {
    const torch::Tensor seen = value.detach();
    torch::Tensor range = value_scales_[op];
    range.lerp_(torch::stack({seen.min(), seen.max()}), plan_.observer_momentum);
  }
  const bool moves_zero_point = plan_.rule == ScaleRule::kObserved;
  const IntegerRange integers =
      integers_of(moves_zero_point ? value_scale(op) : *plan_.start.values[op]);
  const int64_t features = plan_.start.graph.ops[op].output.elements();
  return fake_quantize(value, value_step(op), integers, lsq_gradient_scale(features, integers));
}

std::vector<torch::Tensor> Simulation::parameters(size_t op,
                                                  const std::vector<torch::Tensor>& own) const {
  if (!weight_scales_[op].defined()) return own;
  const auto input = size_t(plan_.start.graph.ops[op].inputs[0]);
  const bool has_bias_scale = own.size() > 1 && forms_[input];
  if (observes()) {
    const torch::Tensor weight = own[0].detach().cpu();
    const torch::Tensor bias = own.size() > 1 ? own[1].detach().cpu() : torch::Tensor();
    const float input_scale = forms_[input] ? value_scale(input).scale : 0;
    torch::Tensor scales = weight_scales_[op];
    scales.copy_(steps(weight_scale(weight, bias, input_scale, scales.dim() > 0), scales.device()));
  }
  const torch::Tensor step = weight_step(op);
  const int64_t sharing = own[0].numel() / step.numel();
  std::vector<torch::Tensor> rounded = own;
  rounded[0] = fake_quantize(own[0], step, kWeightRange, lsq_gradient_scale(sharing, kWeightRange));
  if (has_bias_scale) {
    rounded[1] = fake_quantize(own[1], (value_step(input) * step).detach(), kBiasRange);
  }
  return rounded;
}

std::vector<torch::Tensor> Simulation::learned() const {
  std::vector<torch::Tensor> learned;
  for (const auto* list : {&value_scales_, &weight_scales_}) {
    for (const torch::Tensor& scale : *list) {
      if (scale.defined() && scale.requires_grad()) learned.push_back(scale);
    }
  }
  return learned;
}

QuantizedGraph Simulation::quantized() const {
  at::NoGradGuard no_grad;
  const bool is_learned = plan_.rule == ScaleRule::kLsq;
  const auto rule_of = [&](size_t op) {
    const std::string& start = plan_.start.values[op]->rule;
    if (!forms_[op]->has_range()) return start;
    return is_learned ? start + ", then learned"
                      : value_rule(*forms_[op], "the moving average of training batches");
  };
  QuantizedGraph result = plan_.start;
  for (size_t i = 0; i < forms_.size(); ++i) {
    if (forms_[i]) {
      result.values[i] = value_scale(i);
      result.values[i]->rule = rule_of(i);
    }
    if (!result.weights[i]) continue;
    const torch::Tensor step = weight_step(i).cpu().reshape({-1}).contiguous();
    result.weights[i]->scales.assign(step.data_ptr<float>(), step.data_ptr<float>() + step.numel());
    result.weights[i]->rule += is_learned ? ", then learned" : "";
  }
  return result;
}

QuantizedNetwork quantize_with(const QuantizedGraph& scales, const Network& folded) {
  at::NoGradGuard no_grad;
  QuantizedNetwork result{.quantized = scales, .tensors = {}, .provenance = folded.provenance};
  for (size_t i = 0; i < scales.graph.ops.size(); ++i) {
    const Op& op = scales.graph.ops[i];
    const auto& weight_scale = scales.weights[i];
    for (const Parameter& parameter : parameters(folded.graph, int(i))) {
      torch::Tensor value = folded.parameters.full(parameter.name).cpu().clone();
      if (!value.isfinite().all().item<bool>()) {
        throw Error("'" + parameter.name + "' holds NaN or infinity; lower the learning rate");
      }
      if (weight_scale && parameter.role == ParameterRole::kWeight) {
        value = quantized_weight(value, *weight_scale);
      } else if (weight_scale && parameter.role == ParameterRole::kBias) {
        const auto& input = scales.values[size_t(op.inputs[0])];
        if (input) value = bounded_bias(value, input->scale, *weight_scale);
      }
      result.tensors[parameter.name] = value;
    }
  }
  return result;
}

}  // namespace ridgewalk
