#include "supernet/network/batch_norm.h"

#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "supernet/network/norm_kernel.h"

namespace ridgewalk {
namespace {

constexpr auto kLayout = torch::MemoryFormat::ChannelsLast;
constexpr int64_t kGrain = 32768;  // elements that are worth a thread
constexpr int64_t kVector = 16;    // fp32 elements of the widest vectors
constexpr int64_t kWide = 64;      // elements that are worth a loop

// x as rows of channels. The kernels treat `abreast` rows as one, so that a few channels fill
// vectors too.
struct Rows {
  int64_t count, channels, abreast;
  int64_t wide_count() const { return count / abreast; }
  int64_t width() const { return channels * abreast; }
  int64_t grain() const { return std::max<int64_t>(1, kGrain / width()); }
};

Rows rows_of(const torch::Tensor& x) {
  Rows rows{x.numel() / x.size(1), x.size(1), 1};
  const auto can_double = [&] { return rows.count % (2 * rows.abreast) == 0; };
  while (rows.width() % kVector != 0 && can_double()) rows.abreast *= 2;
  while (rows.width() < kWide && can_double()) rows.abreast *= 2;
  return rows;
}

// Repeats the values of the channels for each of the rows abreast.
void repeat(std::vector<float>& values, const Rows& rows) {
  values.resize(size_t(rows.width()));
  for (auto i = size_t(rows.channels); i < values.size(); ++i) {
    values[i] = values[i - size_t(rows.channels)];
  }
}

// The raw elements, in the type that the kernels use; null if x is undefined.
template <class T>
T* elements(const torch::Tensor& x) {
  return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr;
}

// Two sums over all rows, [C] each. Every thread has its own; they are added in the order of the
// threads.
template <class Add>
std::array<std::vector<double>, 2> summed(const Rows& rows, Add add) {
  const auto width = size_t(rows.width()), channels = size_t(rows.channels);
  std::vector<std::array<std::vector<double>, 2>> parts(
      size_t(at::get_num_threads()), {std::vector<double>(width), std::vector<double>(width)});
  at::parallel_for(0, rows.wide_count(), rows.grain(), [&](int64_t first, int64_t last) {
    auto& [sum, other] = parts[size_t(at::get_thread_num())];
    add(first, last, sum.data(), other.data());
  });
  std::array<std::vector<double>, 2> all = {std::vector<double>(channels),
                                            std::vector<double>(channels)};
  for (const auto& part : parts) {
    for (size_t i = 0; i < 2; ++i) {
      for (size_t column = 0; column < width; ++column) {
        all[i][column % channels] += part[i][column];
      }
    }
  }
  return all;
}

// `y` is x [N, C, H, W] normalised. `mean` and `inverse_deviation`, x's by channel, are for the
// gradient.
struct Normalised {
  torch::Tensor y, mean, inverse_deviation;
};

template <class T>
Normalised normalise(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                     double epsilon, bool relu) {
  const Rows rows = rows_of(x);
  const auto width = size_t(rows.channels);
  const T* from = elements<T>(x);
  // Without a channel's first element, little cancels between the sum of squares and the squared
  // sum.
  std::vector<float> shift(width), scale(width), offset(width);
  for (size_t c = 0; c < width; ++c) shift[c] = to_float(from[c]);
  repeat(shift, rows);
  const auto [sum, square] = summed(rows, [&](int64_t first, int64_t last, double* a, double* b) {
    add_moments(from, shift.data(), first, last, rows.width(), a, b);
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
    if (variance < 0) variance = 0;  // not std::max, which could drop NaN
    const double inverse = 1 / std::sqrt(variance + epsilon);
    means[c] = float(mean);
    inverses[c] = float(inverse);
    scale[c] = float(weight[c] * inverse);
    offset[c] = float(bias[c] - weight[c] * inverse * mean);
    if (!keeps) continue;
    kept_mean[c] = float((1 - momentum) * kept_mean[c] + momentum * mean);
    kept_variance[c] = float((1 - momentum) * kept_variance[c] + momentum * unbiased * variance);
  }
  repeat(scale, rows);
  repeat(offset, rows);
  at::parallel_for(0, rows.wide_count(), rows.grain(), [&](int64_t first, int64_t last) {
    scale_rows(from, scale.data(), offset.data(), relu, first, last, rows.width(),
               elements<T>(done.y));
  });
  return done;
}

Normalised normalise(const torch::Tensor& x, const NormParameters& parameters, double momentum,
                     double epsilon, bool relu) {
  return x.scalar_type() == torch::kFloat ? normalise<float>(x, parameters, momentum, epsilon, relu)
                                          : normalise<Bf16>(x, parameters, momentum, epsilon, relu);
}

// The gradients of x, weight and bias, where mean and deviation are functions of x: Ioffe and
// Szegedy 2015 (arXiv 1502.03167), section 3. `y` is defined if ReLU followed.
template <class T>
std::array<torch::Tensor, 3> gradients(const torch::Tensor& grad, const torch::Tensor& x,
                                       const torch::Tensor& weights, const torch::Tensor& y,
                                       const torch::Tensor& means, const torch::Tensor& inverses) {
  const Rows rows = rows_of(x);
  const auto width = size_t(rows.channels);
  std::vector<float> mean(means.data_ptr<float>(), means.data_ptr<float>() + width);
  repeat(mean, rows);
  const auto [sum, product] = summed(rows, [&](int64_t first, int64_t last, double* a, double* b) {
    add_gradient_moments(elements<T>(grad), elements<T>(x), elements<T>(y), mean.data(), first,
                         last, rows.width(), a, b);
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
  for (std::vector<float>* values : {&by_g, &by_x, &offset}) repeat(*values, rows);
  at::parallel_for(0, rows.wide_count(), rows.grain(), [&](int64_t first, int64_t last) {
    mix_rows(elements<T>(grad), elements<T>(x), elements<T>(y), by_g.data(), by_x.data(),
             offset.data(), first, last, rows.width(), elements<T>(of_x));
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
                         double epsilon, bool relu) {
  const auto& [weight, bias, running_mean, running_variance] = parameters;
  if (!has_kernel(x, parameters)) {
    const torch::Tensor y = torch::batch_norm(x, weight, bias, running_mean, running_variance, true,
                                              momentum, epsilon, true);
    return relu ? torch::relu(y) : y;
  }
  if (!torch::GradMode::is_enabled()) return normalise(x, parameters, momentum, epsilon, relu).y;
  return ByRows::apply(x, weight, bias, parameters, momentum, epsilon, relu);
}

}  // namespace ridgewalk
