#include "supernet/batch_norm.h"

#include <cmath>
#include <vector>

#include <ATen/Parallel.h>

#include "supernet/norm_kernel.h"

namespace ridgewalk {
namespace {

constexpr auto kLayout = torch::MemoryFormat::ChannelsLast;
constexpr int64_t kGrain = 32768;  // elements worth a thread

struct Rows {
  int64_t count, channels;
  int64_t grain() const { return std::max<int64_t>(1, kGrain / channels); }
};

Rows rows_of(const torch::Tensor& x) { return {x.numel() / x.size(1), x.size(1)}; }

// The raw elements as the kernels take them.
template <class T>
T* elements(const torch::Tensor& x) {
  return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr;
}

// Two sums over all rows, [C] each: every thread has its own, added up in the threads' order.
template <class Add>
std::array<std::vector<double>, 2> summed(const Rows& rows, Add add) {
  const auto width = size_t(rows.channels);
  std::vector<std::array<std::vector<double>, 2>> parts(
      size_t(at::get_num_threads()), {std::vector<double>(width), std::vector<double>(width)});
  at::parallel_for(0, rows.count, rows.grain(), [&](int64_t first, int64_t last) {
    auto& [sum, other] = parts[size_t(at::get_thread_num())];
    add(first, last, sum.data(), other.data());
  });
  for (size_t part = 1; part < parts.size(); ++part) {
    for (size_t i = 0; i < 2; ++i) {
      for (size_t c = 0; c < width; ++c) parts[0][i][c] += parts[part][i][c];
    }
  }
  return parts[0];
}

// x [N, C, H, W] normalised in `y`; for the gradient, by channel, x's mean and the inverse of its
// standard deviation.
struct Normalised {
  torch::Tensor y, mean, inverse_deviation;
};

template <class T>
Normalised normalise(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                     double epsilon, bool relu) {
  const Rows rows = rows_of(x);
  const auto width = size_t(rows.channels);
  const T* from = elements<T>(x);
  // Squares of what is left without a channel's first element cancel little.
  std::vector<float> shift(width), scale(width), offset(width);
  for (size_t c = 0; c < width; ++c) shift[c] = to_float(from[c]);
  const auto [sum, square] = summed(rows, [&](int64_t first, int64_t last, double* a, double* b) {
    add_moments(from, shift.data(), first, last, rows.channels, a, b);
  });
  Normalised done = {torch::empty_like(x), torch::empty({rows.channels}),
                     torch::empty({rows.channels})};
  auto* means = done.mean.data_ptr<float>();
  auto* inverses = done.inverse_deviation.data_ptr<float>();
  const bool keeps = parameters.running_mean.defined();
  auto* kept_mean = elements<float>(parameters.running_mean);
  auto* kept_variance = elements<float>(parameters.running_variance);
  const auto* weight = parameters.weight.data_ptr<float>();
  const auto* bias = parameters.bias.data_ptr<float>();
  const double unbiased = double(rows.count) / double(std::max<int64_t>(1, rows.count - 1));
  for (size_t c = 0; c < width; ++c) {
    const double shifted = sum[c] / double(rows.count), mean = shift[c] + shifted;
    double variance = square[c] / double(rows.count) - shifted * shifted;
    if (variance < 0) variance = 0;  // not std::max: NaN must stay
    const double inverse = 1 / std::sqrt(variance + epsilon);
    means[c] = float(mean);
    inverses[c] = float(inverse);
    scale[c] = float(weight[c] * inverse);
    offset[c] = float(bias[c] - weight[c] * inverse * mean);
    if (!keeps) continue;
    kept_mean[c] = float((1 - momentum) * kept_mean[c] + momentum * mean);
    kept_variance[c] = float((1 - momentum) * kept_variance[c] + momentum * unbiased * variance);
  }
  at::parallel_for(0, rows.count, rows.grain(), [&](int64_t first, int64_t last) {
    scale_rows(from, scale.data(), offset.data(), relu, first, last, rows.channels,
               elements<T>(done.y));
  });
  return done;
}

Normalised normalise(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                     double epsilon, bool relu) {
  return x.scalar_type() == torch::kFloat ? normalise<float>(x, parameters, momentum, epsilon, relu)
                                          : normalise<Bf16>(x, parameters, momentum, epsilon, relu);
}

// The gradients of x, weight and bias, mean and deviation being functions of x: Ioffe and Szegedy
// 2015 (arXiv 1502.03167), section 3. `y` where ReLU followed.
template <class T>
std::array<torch::Tensor, 3> gradients(const torch::Tensor& grad, const torch::Tensor& x,
                                       const torch::Tensor& weights, const torch::Tensor& y,
                                       const torch::Tensor& means, const torch::Tensor& inverses) {
  const Rows rows = rows_of(x);
  const auto width = size_t(rows.channels);
  const auto* mean = means.data_ptr<float>();
  const auto [sum, product] = summed(rows, [&](int64_t first, int64_t last, double* a, double* b) {
    add_gradient_moments(elements<T>(grad), elements<T>(x), elements<T>(y), mean, first, last,
                         rows.channels, a, b);
  });
  torch::Tensor of_x = torch::empty_like(x), of_weight = torch::empty({rows.channels}),
                of_bias = torch::empty({rows.channels});
  std::vector<float> by_g(width), by_x(width), offset(width);
  for (size_t c = 0; c < width; ++c) {
    const double inverse = inverses.data_ptr<float>()[c];
    const double scale = weights.data_ptr<float>()[c] * inverse;
    const double slope = -scale * inverse * inverse * product[c] / double(rows.count);
    of_weight.data_ptr<float>()[c] = float(product[c] * inverse);
    of_bias.data_ptr<float>()[c] = float(sum[c]);
    by_g[c] = float(scale);
    by_x[c] = float(slope);
    offset[c] = float(-scale * sum[c] / double(rows.count) - slope * mean[c]);
  }
  at::parallel_for(0, rows.count, rows.grain(), [&](int64_t first, int64_t last) {
    mix_rows(elements<T>(grad), elements<T>(x), elements<T>(y), by_g.data(), by_x.data(),
             offset.data(), first, last, rows.channels, elements<T>(of_x));
  });
  return {of_x, of_weight, of_bias};
}

struct ByRows : torch::autograd::Function<ByRows> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& /*bias*/,
                               const NormParameters& parameters, double momentum, double epsilon,
                               bool relu) {
    const Normalised done = normalise(x, parameters, momentum, epsilon, relu);
    context->save_for_backward(
        {x, weight, relu ? done.y : torch::Tensor(), done.mean, done.inverse_deviation});
    return done.y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor& x = saved[0];
    const torch::Tensor grad = grads[0].to(x.scalar_type()).contiguous(kLayout);
    const auto [of_x, of_weight, of_bias] =
        x.scalar_type() == torch::kFloat
            ? gradients<float>(grad, x, saved[1], saved[2], saved[3], saved[4])
            : gradients<Bf16>(grad, x, saved[1], saved[2], saved[3], saved[4]);
    return {of_x, of_weight, of_bias, {}, {}, {}, {}};
  }
};

bool has_kernel(const torch::Tensor& x, const NormParameters& parameters) {
  for (const torch::Tensor& one : {parameters.weight, parameters.bias}) {
    if (one.scalar_type() != torch::kFloat || !one.is_contiguous()) return false;
  }
  return x.device().is_cpu() && x.dim() == 4 && x.numel() > 0 && x.is_contiguous(kLayout) &&
         (x.scalar_type() == torch::kFloat || x.scalar_type() == torch::kBFloat16);
}

}  // namespace

torch::Tensor batch_norm(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                         double epsilon, bool relu) {
  const auto& [weight, bias, running_mean, running_variance] = parameters;
  if (!has_kernel(x, parameters)) {
    const torch::Tensor y = torch::batch_norm(x, weight, bias, running_mean, running_variance, true,
                                              momentum, epsilon, false);
    return relu ? torch::relu(y) : y;
  }
  if (!torch::GradMode::is_enabled()) return normalise(x, parameters, momentum, epsilon, relu).y;
  return ByRows::apply(x, weight, bias, parameters, momentum, epsilon, relu);
}

}  // namespace ridgewalk
