#include "supernet/network/norm_pass.h"

#include <cmath>

#include <ATen/Parallel.h>

#include "supernet/kernels/norm_kernel.h"

namespace ridgewalk {
namespace {
constexpr int64_t kVector = 16;  // fp32 numbers of the widest vectors
constexpr int64_t kWide = 64;    // numbers that are worth a loop
}  // namespace

NormPass::NormPass(int64_t rows, int64_t channels, bool relu)
    : rows_(rows), channels_(channels), relu_(relu), parts_(size_t(at::get_num_threads())) {
  while (width() % kVector != 0 && abreast_ < kVector) abreast_ *= 2;
  while (width() < kWide) abreast_ *= 2;
}

// Calls run(first row, number of wide rows, their width) for the rows abreast, then for the rest.
template <class Run>
void NormPass::for_rows(int64_t rows, Run run) const {
  const int64_t wide = rows / abreast_, done = wide * abreast_;
  if (wide > 0) run(0, wide, width());
  if (done < rows) run(done, rows - done, channels_);
}

void NormPass::repeat(std::vector<float>& by_channel) const {
  by_channel.resize(size_t(width()));
  for (auto i = size_t(channels_); i < by_channel.size(); ++i) {
    by_channel[i] = by_channel[i - size_t(channels_)];
  }
}

std::vector<double> NormPass::folded(const std::vector<double>& sums) const {
  std::vector<double> by_channel(size_t(channels_), 0.0);
  for (size_t i = 0; i < sums.size(); ++i) by_channel[i % size_t(channels_)] += sums[i];
  return by_channel;
}

NormPass::Part& NormPass::part() {
  Part& part = parts_[size_t(at::get_thread_num())];
  if (part.sum.empty()) {
    part.sum.assign(size_t(width()), 0);
    part.other.assign(size_t(width()), 0);
  }
  return part;
}

template <class T>
void NormPass::add(const T* x, int64_t rows) {
  if (rows == 0) return;
  Part& own = part();
  if (own.rows == 0) {
    // Without a channel's first number, little cancels between the sum of squares and the squared
    // sum.
    own.shift.resize(size_t(channels_));
    for (size_t c = 0; c < own.shift.size(); ++c) own.shift[c] = to_float(x[c]);
    repeat(own.shift);
  }
  own.rows += rows;
  for_rows(rows, [&](int64_t first, int64_t count, int64_t wide) {
    add_moments(x + first * channels_, own.shift.data(), 0, count, wide, own.sum.data(),
                own.other.data());
  });
}

void NormPass::finish(const NormParameters& parameters, double momentum, double epsilon) {
  parameters_ = parameters;
  const auto count = size_t(channels_);
  std::vector<double> mean(count, 0.0), squares(count, 0.0);  // about the mean
  double rows = 0;
  for (const Part& part : parts_) {
    if (part.rows == 0) continue;
    // Chan, Golub and LeVeque 1979: the moments of two sets from those of each.
    const double own = double(part.rows), all = rows + own;
    const std::vector<double> sum = folded(part.sum), square = folded(part.other);
    for (size_t c = 0; c < count; ++c) {
      const double shifted = sum[c] / own, apart = part.shift[c] + shifted - mean[c];
      squares[c] += square[c] - sum[c] * shifted + apart * apart * rows * own / all;
      mean[c] += apart * own / all;
    }
    rows = all;
  }
  parts_.assign(parts_.size(), {});
  mean_.resize(count);
  scale_.resize(count);
  offset_.resize(count);
  inverse_deviation_.resize(count);
  const float* weight = parameters.weight.data_ptr<float>();
  const float* bias = parameters.bias.data_ptr<float>();
  const bool keeps = parameters.running_mean.defined();
  float* kept_mean = keeps ? parameters.running_mean.data_ptr<float>() : nullptr;
  float* kept_variance = keeps ? parameters.running_variance.data_ptr<float>() : nullptr;
  const double unbiased = rows / std::max(1.0, rows - 1);
  for (size_t c = 0; c < count; ++c) {
    double variance = squares[c] / rows;
    if (variance < 0) variance = 0;  // not std::max, which could drop NaN
    const double inverse = 1 / std::sqrt(variance + epsilon);
    mean_[c] = float(mean[c]);
    inverse_deviation_[c] = inverse;
    scale_[c] = float(weight[c] * inverse);
    offset_[c] = float(bias[c] - weight[c] * inverse * mean[c]);
    if (!keeps) continue;
    kept_mean[c] = float((1 - momentum) * kept_mean[c] + momentum * mean[c]);
    kept_variance[c] = float((1 - momentum) * kept_variance[c] + momentum * unbiased * variance);
  }
  for (auto* values : {&mean_, &scale_, &offset_}) repeat(*values);
}

template <class T>
void NormPass::read(const T* x, int64_t rows, T* y) const {
  for_rows(rows, [&](int64_t first, int64_t count, int64_t wide) {
    scale_rows(x + first * channels_, scale_.data(), offset_.data(), relu_, 0, count, wide,
               y + first * channels_);
  });
}

template <class T>
void NormPass::add_gradient(const T* g, const T* x, int64_t rows) {
  Part& own = part();
  for_rows(rows, [&](int64_t first, int64_t count, int64_t wide) {
    const int64_t at = first * channels_;
    add_gradient_moments(g + at, x + at, relu_ ? scale_.data() : nullptr, offset_.data(),
                         mean_.data(), 0, count, wide, own.sum.data(), own.other.data());
  });
}

// Where mean and deviation are functions of x: Ioffe and Szegedy 2015 (arXiv 1502.03167),
// section 3.
std::pair<torch::Tensor, torch::Tensor> NormPass::finish_gradient() {
  const auto count = size_t(channels_);
  std::vector<double> sum(count, 0.0), product(count, 0.0);
  for (const Part& part : parts_) {
    if (part.sum.empty()) continue;
    const std::vector<double> own = folded(part.sum), other = folded(part.other);
    for (size_t c = 0; c < count; ++c) {
      sum[c] += own[c];
      product[c] += other[c];
    }
  }
  parts_.assign(parts_.size(), {});
  torch::Tensor of_weight = torch::empty({channels_}), of_bias = torch::empty({channels_});
  const float* weight = parameters_.weight.data_ptr<float>();
  by_g_.resize(count);
  by_x_.resize(count);
  constant_.resize(count);
  for (size_t c = 0; c < count; ++c) {
    const double inverse = inverse_deviation_[c], scale = weight[c] * inverse;
    const double slope = -scale * inverse * inverse * product[c] / double(rows_);
    of_weight.data_ptr<float>()[c] = float(product[c] * inverse);
    of_bias.data_ptr<float>()[c] = float(sum[c]);
    by_g_[c] = float(scale);
    by_x_[c] = float(slope);
    constant_[c] = float(-scale * sum[c] / double(rows_) - slope * mean_[c]);
  }
  for (auto* values : {&by_g_, &by_x_, &constant_}) repeat(*values);
  return {of_weight, of_bias};
}

template <class T>
void NormPass::read_gradient(const T* g, const T* x, int64_t rows, T* of_x) const {
  const Mixture mixture{by_g_.data(), by_x_.data(), constant_.data(),
                        relu_ ? scale_.data() : nullptr, offset_.data()};
  for_rows(rows, [&](int64_t first, int64_t count, int64_t wide) {
    const int64_t at = first * channels_;
    mix_rows(g + at, x + at, mixture, 0, count, wide, of_x + at);
  });
}

#define RIDGEWALK_NORM_PASS(T)                                       \
  template void NormPass::add(const T*, int64_t);                    \
  template void NormPass::read(const T*, int64_t, T*) const;         \
  template void NormPass::add_gradient(const T*, const T*, int64_t); \
  template void NormPass::read_gradient(const T*, const T*, int64_t, T*) const;
RIDGEWALK_NORM_PASS(float)
RIDGEWALK_NORM_PASS(Bf16)

}  // namespace ridgewalk
