#include "supernet/quantization/fake_quantize.h"

#include <cmath>

#include <torch/csrc/autograd/custom_function.h>

namespace ridgewalk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A [C] step beside dimension 0 of x.
torch::Tensor beside(const torch::Tensor& step, const torch::Tensor& x) {
  if (step.dim() == 0) return step;
  std::vector<int64_t> shape(size_t(x.dim()), 1);
  shape[0] = -1;
  return step.view(shape);
}

class FakeQuantize : public torch::autograd::Function<FakeQuantize> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& step, int64_t lowest, int64_t highest,
                               double step_gradient) {
    context->save_for_backward({x, step});
    context->saved_data["lowest"] = lowest;
    context->saved_data["highest"] = highest;
    context->saved_data["step_gradient"] = step_gradient;
    const torch::Tensor steps = beside(step, x);
    return x.div(steps).round_().clamp_(lowest, highest).mul_(steps);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &step = saved[1], &gradient = gradients[0];
    const int64_t lowest = context->saved_data["lowest"].toInt();
    const int64_t highest = context->saved_data["highest"].toInt();
    const torch::Tensor ratio = x.div(beside(step, x));
    const torch::Tensor rounded = ratio.round();
    const torch::Tensor outside =
        rounded.lt(double(lowest)).logical_or_(rounded.gt(double(highest)));
    torch::Tensor of_x, of_step;
    if (context->needs_input_grad(0)) of_x = gradient.masked_fill(outside, 0);
    if (context->needs_input_grad(1)) {
      torch::Tensor terms = rounded.clamp_(lowest, highest);
      terms.sub_(ratio.masked_fill(outside, 0)).mul_(gradient);
      of_step = step.dim() == 0 ? terms.sum() : terms.flatten(1).sum(1);
      of_step.mul_(context->saved_data["step_gradient"].toDouble());
    }
    return {of_x, of_step, {}, {}, {}};
  }
};

}  // namespace

torch::Tensor fake_quantize(const torch::Tensor& x, const torch::Tensor& step, IntegerRange range,
                            double step_gradient) {
  return FakeQuantize::apply(x, step, int64_t{range.lowest}, int64_t{range.highest}, step_gradient);
}

double lsq_gradient_scale(int64_t n, IntegerRange range) {
  return 1 / std::sqrt(double(n) * double(range.highest));
}

}  // namespace ridgewalk
