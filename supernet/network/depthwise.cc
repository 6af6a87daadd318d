#include "supernet/network/depthwise.h"

#include <torch/csrc/autograd/custom_function.h>

#include "supernet/kernels/cpu_level.h"
#include "supernet/network/libraries.h"
#include "supernet/network/precision.h"

namespace ridgewalk {
namespace {

constexpr int64_t kWindow = 3;

// The gradients of input and weight by convolution_backward(), each only if `wanted`.
std::array<torch::Tensor, 2> gradients(const torch::Tensor& grad, const torch::Tensor& x,
                                       const torch::Tensor& weight, int64_t stride, int64_t padding,
                                       std::array<bool, 2> wanted) {
  const auto [of_input, of_weight, of_bias] = at::convolution_backward(
      grad, x, weight, c10::nullopt, {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0},
      weight.size(0), {wanted[0], wanted[1], false});
  return {of_input, of_weight};
}

// oneDNN computes in bf16 from AVX-512 on. For other CPUs LibTorch adds up a weight's gradient in
// bf16, too, which leaves about one correct digit.
bool adds_up_in_bf16() { return cpu_level() < CpuLevel::kAvx512; }

// Tap (i, j) of the weight meets the padded input from row i and column j on. So the gradient of a
// window of the weight is that of a smaller convolution over the input from the window's corner on.
// Windows overlap by a row and a column.
torch::Tensor weight_gradient(const torch::Tensor& grad, const torch::Tensor& x,
                              const torch::Tensor& weight, int64_t stride) {
  const int64_t kernel = weight.size(2), padding = (kernel - 1) / 2;
  if (adds_up_in_bf16()) {
    return gradients(grad.to(torch::kFloat), x.to(torch::kFloat), weight.to(torch::kFloat), stride,
                     padding, {false, true})[1]
        .to(weight.scalar_type());
  }
  if (kernel <= kWindow) return gradients(grad, x, weight, stride, padding, {false, true})[1];
  const torch::Tensor padded =
      torch::constant_pad_nd(x, {padding, padding, padding, padding}).detach();
  const torch::Tensor window = weight.narrow(2, 0, kWindow).narrow(3, 0, kWindow).contiguous();
  const int64_t height = (grad.size(2) - 1) * stride + kWindow;
  const int64_t width = (grad.size(3) - 1) * stride + kWindow;
  torch::Tensor whole = torch::empty_like(weight);
  for (int64_t row = 0; row + kWindow <= kernel; row += kWindow - 1) {
    for (int64_t column = 0; column + kWindow <= kernel; column += kWindow - 1) {
      const torch::Tensor part = padded.narrow(2, row, height)
                                     .narrow(3, column, width)
                                     .contiguous(torch::MemoryFormat::ChannelsLast);
      whole.narrow(2, row, kWindow)
          .narrow(3, column, kWindow)
          .copy_(gradients(grad, part, window, stride, 0, {false, true})[1]);
    }
  }
  return whole;
}

// oneDNN 3 chooses a kernel for grouped convolutions here (brgconv_strided), which treats each
// channel as a group of 16: a hundred times as slow as its depthwise kernel, which it still takes
// for fp32.
bool strided_gradient_is_slow() { return onednn_major() >= 3; }

torch::Tensor input_gradient(const torch::Tensor& grad, const torch::Tensor& x,
                             const torch::Tensor& weight, int64_t stride) {
  const int64_t padding = (weight.size(2) - 1) / 2;
  if (stride == 1 || !strided_gradient_is_slow()) {
    return gradients(grad, x, weight, stride, padding, {true, false})[0];
  }
  const torch::Tensor shape_of_x = torch::empty_like(x, torch::kFloat);
  return gradients(grad.to(torch::kFloat), shape_of_x, weight.to(torch::kFloat), stride, padding,
                   {true, false})[0]
      .to(x.scalar_type());
}

struct OwnGradients : torch::autograd::Function<OwnGradients> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, int64_t stride) {
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    return torch::conv2d(x, weight, {}, stride, (weight.size(2) - 1) / 2, 1, weight.size(0));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const int64_t stride = context->saved_data["stride"].toInt();
    const torch::Tensor grad = grads[0].contiguous(torch::MemoryFormat::ChannelsLast);
    return {input_gradient(grad, x, weight, stride), weight_gradient(grad, x, weight, stride),
            torch::Tensor()};
  }
};

}  // namespace

torch::Tensor depthwise_conv(const torch::Tensor& x, const torch::Tensor& weight, int64_t stride) {
  const int64_t kernel = weight.size(2);
  const bool trains = torch::GradMode::is_enabled() && weight.requires_grad();
  const bool needs_own_gradients =
      kernel > kWindow || adds_up_in_bf16() || (stride > 1 && strided_gradient_is_slow());
  if (needs_own_gradients && trains && x.device().is_cpu() && computes_in_bf16(x.device())) {
    // As autocast would, but before the function, which saves both for its backward pass.
    return OwnGradients::apply(x.to(torch::kBFloat16), weight.to(torch::kBFloat16), stride);
  }
  return torch::conv2d(x, weight, {}, stride, (kernel - 1) / 2, 1, weight.size(0));
}

}  // namespace ridgewalk
