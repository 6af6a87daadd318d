#include "supernet/network/batch_norm.h"

#include <memory>

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "supernet/network/norm_pass.h"

namespace ridgewalk {
namespace {

constexpr auto kLayout = torch::MemoryFormat::ChannelsLast;
constexpr int64_t kGrain = 32768;  // elements that are worth a thread

// Calls run(pointers to a range of each tensor's rows..., number of rows).
template <class T, class Run, class... Tensors>
void in_pieces(Run run, const torch::Tensor& x, const Tensors&... others) {
  const int64_t channels = x.size(1), rows = x.numel() / channels;
  const auto at_row = [&](const torch::Tensor& of, int64_t row) {
    return static_cast<T*>(of.data_ptr()) + row * channels;
  };
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / channels),
                   [&](int64_t first, int64_t last) {
                     run(last - first, at_row(x, first), at_row(others, first)...);
                   });
}

template <class T>
torch::Tensor normalised(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                         double epsilon, NormPass& pass) {
  in_pieces<T>([&](int64_t rows, const T* from) { pass.add(from, rows); }, x);
  pass.finish(parameters, momentum, epsilon);
  torch::Tensor y = torch::empty_like(x);
  in_pieces<T>([&](int64_t rows, const T* from, T* to) { pass.read(from, rows, to); }, x, y);
  return y;
}

torch::Tensor normalised(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                         double epsilon, NormPass& pass) {
  return x.scalar_type() == torch::kFloat
             ? normalised<float>(x, parameters, momentum, epsilon, pass)
             : normalised<Bf16>(x, parameters, momentum, epsilon, pass);
}

template <class T>
std::array<torch::Tensor, 3> gradients(const torch::Tensor& grad, const torch::Tensor& x,
                                       NormPass& pass) {
  in_pieces<T>([&](int64_t rows, const T* from, const T* g) { pass.add_gradient(g, from, rows); },
               x, grad);
  const auto [of_weight, of_bias] = pass.finish_gradient();
  torch::Tensor of_x = torch::empty_like(x);
  in_pieces<T>([&](int64_t rows, const T* from, const T* g,
                   T* to) { pass.read_gradient(g, from, rows, to); },
               x, grad, of_x);
  return {of_x, of_weight, of_bias};
}

struct Saved : torch::CustomClassHolder {
  explicit Saved(NormPass saved) : pass(std::move(saved)) {}
  NormPass pass;
};

struct ByRows : torch::autograd::Function<ByRows> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& /*weight*/, const torch::Tensor& /*bias*/,
                               const NormParameters& parameters, double momentum, double epsilon) {
    auto saved = c10::make_intrusive<Saved>(NormPass(x.numel() / x.size(1), x.size(1), false));
    context->save_for_backward({x});
    context->saved_data["pass"] = c10::IValue::make_capsule(saved);
    return normalised(x, parameters, momentum, epsilon, saved->pass);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const torch::Tensor x = context->get_saved_variables()[0];
    NormPass& pass = static_cast<Saved*>(context->saved_data["pass"].toCapsule().get())->pass;
    const torch::Tensor grad = grads[0].to(x.scalar_type()).contiguous(kLayout);
    const auto [of_x, of_weight, of_bias] = x.scalar_type() == torch::kFloat
                                                ? gradients<float>(grad, x, pass)
                                                : gradients<Bf16>(grad, x, pass);
    return {of_x, of_weight, of_bias, {}, {}, {}};
  }
};

// Whether the kernels can do it; otherwise LibTorch computes or refuses it.
bool has_kernel(const torch::Tensor& x, const NormParameters& parameters) {
  const auto& [weight, bias, running_mean, running_variance] = parameters;
  if (!x.device().is_cpu() || x.dim() != 4 || x.numel() == 0 || !x.is_contiguous(kLayout) ||
      (x.scalar_type() != torch::kFloat && x.scalar_type() != torch::kBFloat16) ||
      running_mean.defined() != running_variance.defined()) {
    return false;
  }
  const auto fits = [&](const torch::Tensor& one) {
    return one.device().is_cpu() && one.scalar_type() == torch::kFloat && one.is_contiguous() &&
           one.numel() == x.size(1);
  };
  return weight.defined() && bias.defined() && fits(weight) && fits(bias) &&
         (!running_mean.defined() || (fits(running_mean) && fits(running_variance)));
}

}  // namespace

torch::Tensor batch_norm(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                         double epsilon) {
  const auto& [weight, bias, running_mean, running_variance] = parameters;
  if (!has_kernel(x, parameters)) {
    return torch::batch_norm(x, weight, bias, running_mean, running_variance, true, momentum,
                             epsilon, true);
  }
  if (!torch::GradMode::is_enabled()) {
    NormPass pass(x.numel() / x.size(1), x.size(1), false);
    return normalised(x, parameters, momentum, epsilon, pass);
  }
  return ByRows::apply(x, weight, bias, parameters, momentum, epsilon);
}

}  // namespace ridgewalk
