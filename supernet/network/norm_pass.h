// Batch norm over rows of channels, piece by piece: whoever writes x adds each piece while it is in
// a cache, and whoever reads it normalises as it reads.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "supernet/kernels/bf16.h"
#include "supernet/network/batch_norm.h"

namespace ridgewalk {

// One forward and one backward pass of y = norm(x), followed by ReLU if `relu`: x, y and their
// gradients are rows of channels in fp32 or bf16. First all rows are added, then finish()
// determines the mean and deviation, then rows can be read; likewise for the gradients. Pieces may
// be added by all threads of at::parallel_for() at once: each has sums of its own, which are added
// in the order of the threads. In lanes there is one sum, which pieces are added to in turns
// (shared_loop.h).
class NormPass {
 public:
  NormPass(int64_t rows, int64_t channels, bool relu);

  template <class T>
  void add(const T* x, int64_t rows);
  // Also updates the running statistics, where they are given. `parameters` are kept.
  void finish(const NormParameters& parameters, double momentum, double epsilon);
  template <class T>
  void read(const T* x, int64_t rows, T* y) const;
  // What read() computes by channel: scale * x + offset, and the larger of that and 0.
  const float* scale() const { return scale_.data(); }
  const float* offset() const { return offset_.data(); }
  bool relu() const { return relu_; }

  // g is the gradient of y.
  template <class T>
  void add_gradient(const T* g, const T* x, int64_t rows);
  // The gradients of weight and bias.
  std::pair<torch::Tensor, torch::Tensor> finish_gradient();
  template <class T>
  void read_gradient(const T* g, const T* x, int64_t rows, T* of_x) const;
  // By channel, x's gradient is by_g * g + by_x * x + constant, where g counts as 0 if y is not
  // positive.
  const float* by_g() const { return by_g_.data(); }
  const float* by_x() const { return by_x_.data(); }
  const float* constant() const { return constant_.data(); }

 private:
  struct Part {  // of a thread; vectors are [width()]
    int64_t rows = 0;
    std::vector<float> shift = {};
    std::vector<double> sum = {}, other = {};
  };
  int64_t width() const { return channels_ * abreast_; }
  Part& part();
  template <class Run>
  void for_rows(int64_t rows, Run run) const;
  void repeat(std::vector<float>& by_channel) const;
  std::vector<double> folded(const std::vector<double>& sums) const;

  int64_t rows_, channels_;
  int64_t abreast_ = 1;  // rows that are treated as one, so that a few channels fill vectors too
  bool relu_;
  NormParameters parameters_ = {};
  std::vector<Part> parts_;
  // By channel, and again for each of the rows abreast.
  std::vector<float> mean_, scale_, offset_, by_g_, by_x_, constant_;
  std::vector<double> inverse_deviation_;
};

}  // namespace ridgewalk
