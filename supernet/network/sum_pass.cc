#include "supernet/network/sum_pass.h"

#include <algorithm>
#include <cstring>

#include "supernet/kernels/activation_kernel.h"
#include "supernet/kernels/row_kernel.h"
#include "supernet/network/shared_loop.h"

namespace ridgewalk {
namespace {

constexpr int64_t kRowsAtOnce = 64;        // rows
constexpr int64_t kThreadNumbers = 32768;  // numbers that are worth a thread

// Calls run(first row, number of rows, turn) for blocks of rows.
template <class T, class Run>
void in_row_blocks(const OpRows<T>& of, Run run) {
  const int64_t blocks = (of.rows() + kRowsAtOnce - 1) / kRowsAtOnce;
  const int64_t grain = 1 + kThreadNumbers / (kRowsAtOnce * of.channels);
  for_pieces(blocks, grain, [&](int64_t begin, int64_t end, const Turn& turn) {
    for (int64_t b = begin; b < end; ++b) {
      run(b * kRowsAtOnce, std::min(kRowsAtOnce, of.rows() - b * kRowsAtOnce), turn);
    }
  });
}

template <class T>
void read(const OpRows<T>& in, int64_t first, int64_t rows, T* to) {
  const T* x = in.x + first * in.channels;
  if (in.norm != nullptr) return in.norm->read(x, rows, to);
  std::memcpy(to, x, size_t(rows * in.channels) * sizeof(T));
}

}  // namespace

template <class T>
void read_all(const OpRows<T>& in, T* to) {
  in_row_blocks(in, [&](int64_t first, int64_t rows, const Turn&) {
    read(in, first, rows, to + first * in.channels);
  });
}

template <class T>
void complete(const OpRows<T>& in) {
  if (in.norm == nullptr) return;
  in_row_blocks(in, [&](int64_t first, int64_t rows, const Turn& turn) {
    const int64_t at = first * in.channels;
    turn.wait();
    in.norm->add_gradient(in.gradient + at, in.x + at, rows);
  });
}

template <class T>
void sum(const OpRows<T>& a, const OpRows<T>& b, const OpRows<T>& out) {
  in_row_blocks(out, [&](int64_t first, int64_t rows, const Turn&) {
    const int64_t numbers = rows * out.channels;
    T* to = out.x + first * out.channels;
    T* other = scratch<T>(Scratch::kInput, numbers);
    read(a, first, rows, to);
    read(b, first, rows, other);
    add_row(other, numbers, to);
  });
}

template <class T>
void sum_backward(const OpRows<T>& in, const OpRows<T>& out, const Contribution& contribution) {
  if (!contribution.wanted) return;
  in_row_blocks(in, [&](int64_t first, int64_t rows, const Turn& turn) {
    const int64_t at = first * in.channels, numbers = rows * in.channels;
    if (contribution.adds) {
      add_row(out.gradient + at, numbers, in.gradient + at);
    } else {
      std::memcpy(in.gradient + at, out.gradient + at, size_t(numbers) * sizeof(T));
    }
    if (contribution.completes && in.norm != nullptr) {
      turn.wait();
      in.norm->add_gradient(in.gradient + at, in.x + at, rows);
    }
  });
}

template <class T>
void pool(const OpRows<T>& in, const OpRows<T>& out) {
  const int64_t channels = in.channels, pixels = in.per_image();
  for_pieces(in.images, 1, [&](int64_t begin, int64_t end, const Turn&) {
    T* x = scratch<T>(Scratch::kInput, pixels * channels);
    float* mean = scratch<float>(Scratch::kOutput, channels);
    for (int64_t image = begin; image < end; ++image) {
      read(in, image * pixels, pixels, x);
      std::fill_n(mean, channels, 0.0F);
      for (int64_t p = 0; p < pixels; ++p) add_row(x + p * channels, channels, mean);
      for (int64_t c = 0; c < channels; ++c) mean[c] /= float(pixels);
      set_row(mean, channels, out.x + image * channels);
    }
  });
}

template <class T>
void pool_backward(const OpRows<T>& in, const OpRows<T>& out, const Contribution& contribution) {
  if (!contribution.wanted) return;
  const int64_t channels = in.channels, pixels = in.per_image();
  for_pieces(in.images, 1, [&](int64_t begin, int64_t end, const Turn& turn) {
    float* share = scratch<float>(Scratch::kOutput, channels);
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t c = 0; c < channels; ++c) {
        share[c] = to_float(out.gradient[image * channels + c]) / float(pixels);
      }
      const int64_t at = image * pixels * channels;
      for (int64_t p = 0; p < pixels; ++p) {
        T* to = in.gradient + at + p * channels;
        contribution.adds ? add_row(share, channels, to) : set_row(share, channels, to);
      }
      if (contribution.completes && in.norm != nullptr) {
        turn.wait();
        in.norm->add_gradient(in.gradient + at, in.x + at, pixels);
      }
    }
  });
}

template <class T>
void activate(const OpRows<T>& in, Activation activation, const OpRows<T>& out) {
  in_row_blocks(in, [&](int64_t first, int64_t rows, const Turn&) {
    const int64_t numbers = rows * in.channels;
    T* x = scratch<T>(Scratch::kInput, numbers);
    read(in, first, rows, x);
    activate_row(activation, x, numbers, out.x + first * in.channels);
  });
}

template <class T>
void activate_backward(const OpRows<T>& in, Activation activation, const OpRows<T>& out,
                       const Contribution& contribution) {
  if (!contribution.wanted) return;
  in_row_blocks(in, [&](int64_t first, int64_t rows, const Turn& turn) {
    const int64_t at = first * in.channels, numbers = rows * in.channels;
    T* x = scratch<T>(Scratch::kInput, numbers);
    read(in, first, rows, x);
    T* to = in.gradient + at;
    if (contribution.adds) {
      T* own = scratch<T>(Scratch::kOutput, numbers);
      activation_gradient_row(activation, out.gradient + at, x, numbers, own);
      add_row(own, numbers, to);
    } else {
      activation_gradient_row(activation, out.gradient + at, x, numbers, to);
    }
    if (contribution.completes && in.norm != nullptr) {
      turn.wait();
      in.norm->add_gradient(to, in.x + at, rows);
    }
  });
}

template <class T>
void add_bias(const torch::Tensor& bias, const OpRows<T>& out) {
  const float* from = bias.data_ptr<float>();
  for (int64_t r = 0; r < out.rows(); ++r) add_row(from, out.channels, out.x + r * out.channels);
}

template <class T>
torch::Tensor bias_gradient(const OpRows<T>& out) {
  torch::Tensor total = torch::zeros({out.channels});
  for (int64_t r = 0; r < out.rows(); ++r) {
    add_row(out.gradient + r * out.channels, out.channels, total.data_ptr<float>());
  }
  return total;
}

#define RIDGEWALK_SUM_PASS(T)                                                           \
  template void read_all(const OpRows<T>&, T*);                                         \
  template void complete(const OpRows<T>&);                                             \
  template void sum(const OpRows<T>&, const OpRows<T>&, const OpRows<T>&);              \
  template void sum_backward(const OpRows<T>&, const OpRows<T>&, const Contribution&);  \
  template void pool(const OpRows<T>&, const OpRows<T>&);                               \
  template void pool_backward(const OpRows<T>&, const OpRows<T>&, const Contribution&); \
  template void activate(const OpRows<T>&, Activation, const OpRows<T>&);               \
  template void activate_backward(const OpRows<T>&, Activation, const OpRows<T>&,       \
                                  const Contribution&);                                 \
  template void add_bias(const torch::Tensor&, const OpRows<T>&);                       \
  template torch::Tensor bias_gradient(const OpRows<T>&);
RIDGEWALK_SUM_PASS(float)
RIDGEWALK_SUM_PASS(Bf16)

}  // namespace ridgewalk
