#include "supernet/quantization/batch_rounding.h"

#include <optional>
#include <utility>

#include "space/fold.h"
#include "supernet/quantization/fake_quantize.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {
namespace {

constexpr double kSmallestStep = 1e-8;  // of values that are all 0

torch::Tensor step_to(const torch::Tensor& largest, int integer) {
  return (largest / double(integer)).clamp_min_(kSmallestStep);
}

class BatchRounding : public Rounding {
 public:
  explicit BatchRounding(const Graph& graph)
      : forms_(graph.ops.size()), has_integer_weights_(graph.ops.size()) {
    const FoldedGraph folded = fold_norms(graph);
    const std::vector<std::optional<ValueForm>> forms = value_forms(folded.graph);
    for (size_t i = 0; i < forms.size(); ++i) {
      const std::vector<int>& origins = folded.origins[i];
      forms_[size_t(origins.back())] = forms[i];
      has_integer_weights_[size_t(origins.front())] = multiplies_weights(folded.graph.ops[i].kind);
    }
  }

  std::vector<torch::Tensor> parameters(size_t op,
                                        const std::vector<torch::Tensor>& own) const override {
    if (!has_integer_weights_[op]) return own;
    std::vector<torch::Tensor> rounded = own;
    const torch::Tensor largest = own[0].detach().abs().flatten(1).amax(1);
    rounded[0] = fake_quantize(own[0], step_to(largest, 127), {-127, 127});
    return rounded;
  }

  torch::Tensor value(size_t op, const torch::Tensor& value) const override {
    const std::optional<ValueForm>& form = forms_[op];
    if (!form || form->same_as >= 0) return value;
    const bool is_signed = form->type == IntegerType::kS8;
    if (!is_signed && form->is_negative) return with_zero_point(value);
    const IntegerRange integers{lowest(form->type), highest(form->type)};
    const torch::Tensor real = value.to(torch::kFloat);  // bf16 holds no step
    const torch::Tensor seen = real.detach();
    const torch::Tensor step =
        form->fixed_scale ? torch::full({}, *form->fixed_scale, seen.options())
                          : step_to(is_signed ? seen.abs().max() : seen.max(), integers.highest);
    return fake_quantize(real, step, integers).to(value.scalar_type());
  }

 private:
  // From the least to the largest, moved by the zero point as u8 are.
  static torch::Tensor with_zero_point(const torch::Tensor& value) {
    const torch::Tensor real = value.to(torch::kFloat), seen = real.detach();
    const torch::Tensor low = seen.min().clamp_max(0);
    const torch::Tensor step = step_to(seen.max().clamp_min(0) - low, 255);
    const torch::Tensor shift = (-low / step).round() * step;
    return (fake_quantize(real + shift, step, {0, 255}) - shift).to(value.scalar_type());
  }

  std::vector<std::optional<ValueForm>> forms_;  // one per op
  std::vector<bool> has_integer_weights_;
};

}  // namespace

std::shared_ptr<const Rounding> batch_rounding(const Graph& graph) {
  return std::make_shared<BatchRounding>(graph);
}

}  // namespace ridgewalk
