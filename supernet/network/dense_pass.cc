#include "supernet/network/dense_pass.h"

#include "supernet/kernels/row_kernel.h"
#include "supernet/network/product_operands.h"
#include "supernet/network/shared_loop.h"

namespace ridgewalk {

// The windows of an image: each is `kernel` runs of kernel * channels numbers that lie side by
// side.
struct Windows {
  int64_t height, width, channels;  // of the image
  int64_t kernel, stride, columns;  // windows in a row of the output
  int64_t depth() const { return kernel * kernel * channels; }

  // Calls run(place in the window, place in the image, count of numbers) for each run of window
  // `index`, as far as it lies in the image.
  template <class Run>
  void for_runs(int64_t index, Run run) const {
    const int64_t padding = (kernel - 1) / 2;
    const int64_t top = index / columns * stride - padding;
    const int64_t left = index % columns * stride - padding;
    const int64_t begin = std::max<int64_t>(0, -left);
    const int64_t end = std::min(kernel, width - left);
    for (int64_t i = 0; i < kernel; ++i) {
      const int64_t row = top + i;
      if (row < 0 || row >= height) continue;
      run((i * kernel + begin) * channels, (row * width + left + begin) * channels,
          (end - begin) * channels);
    }
  }
  bool is_inside(int64_t index) const {
    const int64_t padding = (kernel - 1) / 2;
    const int64_t top = index / columns * stride - padding;
    const int64_t left = index % columns * stride - padding;
    return top >= 0 && left >= 0 && top + kernel <= height && left + kernel <= width;
  }
};

namespace {

constexpr int64_t kWindowBytes = 128 << 10;  // of the windows in a block

template <class T>
Windows windows_of(const OpRows<T>& in, const OpRows<T>& out, int64_t kernel, int64_t stride) {
  return {in.height, in.width, in.channels, kernel, stride, out.width};
}

// Runs are short: in place of a call for each, 16 bytes at a time, the last of them once more where
// they do not come out even.
template <class T>
void copy_run(const T* from, int64_t count, T* to) {
  constexpr int64_t kPiece = 16 / int64_t(sizeof(T));
  if (count < kPiece) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  for (int64_t i = 0; i + kPiece <= count; i += kPiece) std::memcpy(to + i, from + i, 16);
  std::memcpy(to + count - kPiece, from + count - kPiece, 16);
}

// Windows [first, last) as rows of `width` numbers, of which depth() count; the others are 0.
template <class T>
void unfold(const Windows& windows, const T* image, int64_t first, int64_t last, int64_t width,
            T* to) {
  for (int64_t index = first; index < last; ++index, to += width) {
    if (!windows.is_inside(index)) std::fill_n(to, windows.depth(), T{});
    std::fill_n(to + windows.depth(), width - windows.depth(), T{});
    windows.for_runs(index, [&](int64_t place, int64_t from, int64_t count) {
      copy_run(image + from, count, to + place);
    });
  }
}

// Adds the windows to an image.
void fold(const Windows& windows, const float* rows, int64_t first, int64_t last, float* image) {
  for (int64_t index = first; index < last; ++index, rows += windows.depth()) {
    windows.for_runs(index, [&](int64_t place, int64_t to, int64_t count) {
      add_row(rows + place, count, image + to);
    });
  }
}

// weight [N, K, k, k] as [N, k, k, K].
torch::Tensor in_window_order(const torch::Tensor& weight) {
  return weight.detach().permute({0, 2, 3, 1}).contiguous();
}

template <class T>
const T* image_as_read(const OpRows<T>& in, int64_t image) {
  const int64_t first = image * in.per_image();
  const T* x = in.x + first * in.channels;
  if (in.norm == nullptr) return x;
  T* read = scratch<T>(Scratch::kImage, in.per_image() * in.channels);
  in.norm->read(x, in.per_image(), read);
  return read;
}

// Rows of windows that are treated at once.
template <class T>
int64_t block_of(int64_t width, int64_t rows) {
  const int64_t most = kWindowBytes / (int64_t(sizeof(T)) * width) / 16 * 16;
  return std::min(rows, std::max<int64_t>(32, most));
}

template <class Run>
void for_images(int64_t images, Run run) {
  for_pieces(images, 1, [&](int64_t begin, int64_t end, const Turn& turn) {
    for (int64_t image = begin; image < end; ++image) run(image, turn);
  });
}

template <class Run>
void for_blocks(int64_t rows, int64_t block, Run run) {
  for (int64_t first = 0; first < rows; first += block) run(first, std::min(first + block, rows));
}

}  // namespace

template <class T>
void dense(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride, const OpRows<T>& out) {
  const Windows windows = windows_of(in, out, weight.size(2), stride);
  const int64_t depth = windows.depth(), columns = out.channels;
  const int64_t width = units<T>(depth) * UnitOf<T>::kDepth;
  const torch::Tensor ordered = in_window_order(weight);
  auto* packed =
      scratch<typename UnitOf<T>::Unit>(Scratch::kWeights, packed_units<T>(depth, columns));
  pack<T>(ordered.data_ptr<float>(), 1, depth, depth, columns, packed);
  const int64_t block = block_of<T>(width, out.per_image());
  for_images(in.images, [&](int64_t image, const Turn& turn) {
    const T* x = image_as_read(in, image);
    T* y = out.x + image * out.per_image() * columns;
    for_blocks(out.per_image(), block, [&](int64_t first, int64_t last) {
      T* rows = scratch<T>(Scratch::kInput, block * width);
      unfold(windows, x, first, last, width, rows);
      Product<T> product = left_rows<T>(rows, last - first, width, Scratch::kInputPairs);
      set_packed_right(product, packed, columns);
      multiply(product, y + first * columns, columns);
    });
    if (out.norm == nullptr) return;
    turn.wait();
    for_blocks(out.per_image(), block, [&](int64_t first, int64_t last) {
      out.norm->add(y + first * columns, last - first);
    });
  });
}

template <class T>
torch::Tensor dense_backward(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride,
                             const OpRows<T>& out, const Contribution& contribution) {
  const int64_t kernel = weight.size(2);
  const Windows windows = windows_of(in, out, kernel, stride);
  const int64_t depth = windows.depth(), columns = out.channels;
  auto* packed =
      scratch<typename UnitOf<T>::Unit>(Scratch::kWeights, packed_units<T>(columns, depth));
  if (contribution.wanted) {
    const torch::Tensor ordered = in_window_order(weight);
    pack<T>(ordered.data_ptr<float>(), depth, 1, columns, depth, packed);
  }
  const int64_t block = block_of<T>(depth, out.per_image());
  const int64_t numbers = in.per_image() * in.channels;
  ThreadSums sums(columns * depth);
  for_images(in.images, [&](int64_t image, const Turn& turn) {
    const T* x = image_as_read(in, image);
    float* of_image = nullptr;
    if (contribution.wanted) {
      of_image = scratch<float>(Scratch::kGradient, numbers);
      std::fill_n(of_image, numbers, 0.0F);
    }
    for_blocks(out.per_image(), block, [&](int64_t first, int64_t last) {
      const int64_t rows = last - first;
      T* unfolded = scratch<T>(Scratch::kInput, block * depth);
      unfold(windows, x, first, last, depth, unfolded);
      const T* of_y = gradient_rows(out, image * out.per_image() + first, rows);
      if (contribution.wanted) {
        float* of_windows = scratch<float>(Scratch::kOtherWeights, block * depth);
        Product<T> product = left_rows<T>(of_y, rows, columns, Scratch::kOutputPairs);
        set_packed_right(product, packed, depth);
        multiply(product, of_windows, depth);
        fold(windows, of_windows, first, last, of_image);
      }
      turn.wait();
      add_weight_gradient(of_y, columns, unfolded, depth, rows, sums.own());
    });
    if (!contribution.wanted) return;
    T* of_x = in.gradient + image * numbers;
    contribution.adds ? add_row(of_image, numbers, of_x) : set_row(of_image, numbers, of_x);
    if (contribution.completes && in.norm != nullptr) {
      in.norm->add_gradient(of_x, in.x + image * numbers, in.per_image());
    }
  });
  const torch::Tensor total = sums.total({columns, kernel, kernel, in.channels});
  return total.permute({0, 3, 1, 2}).contiguous();
}

#define RIDGEWALK_DENSE(T)                                                                \
  template void dense(const OpRows<T>&, const torch::Tensor&, int64_t, const OpRows<T>&); \
  template torch::Tensor dense_backward(const OpRows<T>&, const torch::Tensor&, int64_t,  \
                                        const OpRows<T>&, const Contribution&);
RIDGEWALK_DENSE(float)
RIDGEWALK_DENSE(Bf16)

}  // namespace ridgewalk
