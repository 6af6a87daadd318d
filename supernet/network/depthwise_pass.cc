#include "supernet/network/depthwise_pass.h"

#include <algorithm>

#include "supernet/kernels/depthwise_kernel.h"
#include "supernet/network/product_operands.h"
#include "supernet/network/shared_loop.h"

namespace ridgewalk {

// The image with a border of zeros around it, for the kernel to move over.
struct Padded {
  int64_t height, width, border;
  int64_t numbers() const { return height * width * kDepthwiseChannels; }
  int64_t start() const { return (border * width + border) * kDepthwiseChannels; }
};

namespace {

constexpr int64_t kRowsTogether = 64;  // that are worth adding to a norm at once

// The weights of every tile of channels as [kernel * kernel, kDepthwiseChannels], in order or
// turned by 180 degrees.
void tile_weights(const torch::Tensor& weight, bool turned, float* to) {
  const int64_t channels = weight.size(0), taps = weight.size(2) * weight.size(3);
  const float* from = weight.data_ptr<float>();
  for (int64_t first = 0; first < channels;
       first += kDepthwiseChannels, to += taps * kDepthwiseChannels) {
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t tap = turned ? taps - 1 - t : t;
      for (int64_t c = 0; c < kDepthwiseChannels; ++c) {
        to[t * kDepthwiseChannels + c] =
            first + c < channels ? from[(first + c) * weight.stride(0) + tap] : 0.0F;
      }
    }
  }
}

torch::Tensor untiled(const torch::Tensor& tiles, const torch::Tensor& weight) {
  const int64_t taps = weight.size(2) * weight.size(3);
  return tiles.view({-1, taps, kDepthwiseChannels})
      .transpose(1, 2)
      .reshape({-1, taps})
      .narrow(0, 0, weight.size(0))
      .reshape(weight.sizes());
}

int64_t tiles_of(int64_t channels) {
  return (channels + kDepthwiseChannels - 1) / kDepthwiseChannels;
}

// Calls run(first image, last image, turn) for images that together have enough rows.
template <class T, class Run>
void for_groups(const OpRows<T>& smaller, Run run) {
  const int64_t group = (kRowsTogether + smaller.per_image() - 1) / smaller.per_image();
  const int64_t groups = (smaller.images + group - 1) / group;
  for_pieces(groups, 1, [&](int64_t begin, int64_t end, const Turn& turn) {
    for (int64_t g = begin; g < end; ++g) {
      run(g * group, std::min((g + 1) * group, smaller.images), turn);
    }
  });
}

template <class T>
PixelLayout layout_of(const OpRows<T>& rows, int64_t first_channel, int64_t row, int64_t step) {
  return {rows.height,   rows.width,
          rows.channels, std::min(kDepthwiseChannels, rows.channels - first_channel),
          row,           step};
}

template <class T>
Padded padded_input(const OpRows<T>& in, const OpRows<T>& out, int64_t kernel, int64_t stride) {
  const int64_t border = (kernel - 1) / 2;
  return {std::max(in.height + border, (out.height - 1) * stride + kernel),
          std::max(in.width + border, (out.width - 1) * stride + kernel), border};
}

// Channels from `first` on of an image as readers see them.
template <class T>
void read_tile(const OpRows<T>& in, int64_t image, int64_t first, const Padded& padded, float* to) {
  const T* x = in.x + image * in.per_image() * in.channels + first;
  const PixelLayout layout = layout_of(in, first, padded.width, 1);
  const bool scales = in.norm != nullptr;
  read_pixels(x, scales ? in.norm->scale() + first : nullptr,
              scales ? in.norm->offset() + first : nullptr, scales && in.norm->relu(), layout,
              to + padded.start());
}

// The gradient of channels of an image of `out`, its pixels `stride` apart.
template <class T>
void read_gradient_tile(const OpRows<T>& out, int64_t image, int64_t first, int64_t stride,
                        const Padded& padded, float* to) {
  const int64_t at = image * out.per_image() * out.channels + first;
  Mixture mixture{};
  if (const NormPass* norm = out.norm) {
    mixture = {norm->by_g() + first, norm->by_x() + first, norm->constant() + first,
               norm->relu() ? norm->scale() + first : nullptr, norm->offset() + first};
  }
  read_gradient_pixels(out.gradient + at, out.x + at, mixture,
                       layout_of(out, first, stride * padded.width, stride), to + padded.start());
}

float* zeros(Scratch purpose, int64_t count) {
  float* to = scratch<float>(purpose, count);
  std::fill_n(to, count, 0.0F);
  return to;
}

}  // namespace

template <class T>
void depthwise(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride,
               const OpRows<T>& out) {
  const int64_t kernel = weight.size(2), taps = kernel * kernel * kDepthwiseChannels;
  auto* weights = scratch<float>(Scratch::kWeights, tiles_of(in.channels) * taps);
  tile_weights(weight, false, weights);
  const Padded padded = padded_input(in, out, kernel, stride);
  for_groups(out, [&](int64_t begin, int64_t end, const Turn& turn) {
    float* x = zeros(Scratch::kInput, padded.numbers());
    float* y = scratch<float>(Scratch::kOutput, out.per_image() * kDepthwiseChannels);
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t first = 0; first < in.channels; first += kDepthwiseChannels) {
        read_tile(in, image, first, padded, x);
        correlate(x, padded.width, weights + first / kDepthwiseChannels * taps, kernel, stride,
                  out.height, out.width, y);
        write_pixels(y, layout_of(out, first, out.width, 1), false,
                     out.x + image * out.per_image() * out.channels + first);
      }
    }
    if (out.norm == nullptr) return;
    const int64_t per_image = out.per_image();
    turn.wait();
    out.norm->add(out.x + begin * per_image * out.channels, (end - begin) * per_image);
  });
}

// The gradient of the input is a correlation of that of the output, its pixels `stride` apart with
// zeros between them, with the kernel turned by 180 degrees.
template <class T>
torch::Tensor depthwise_backward(const OpRows<T>& in, const torch::Tensor& weight, int64_t stride,
                                 const OpRows<T>& out, const Contribution& contribution) {
  const int64_t kernel = weight.size(2), taps = kernel * kernel * kDepthwiseChannels;
  const int64_t tiles = tiles_of(in.channels);
  auto* turned = scratch<float>(Scratch::kWeights, tiles * taps);
  tile_weights(weight, true, turned);
  const Padded padded = padded_input(in, out, kernel, stride);
  const Padded spread{in.height + kernel - 1, in.width + kernel - 1, kernel - 1 - padded.border};
  ThreadSums sums(tiles * taps);
  for_groups(out, [&](int64_t begin, int64_t end, const Turn& turn) {
    float* x = zeros(Scratch::kInput, padded.numbers());
    float* g = zeros(Scratch::kOutput, spread.numbers());
    float* of_x = scratch<float>(Scratch::kGradient, in.per_image() * kDepthwiseChannels);
    const int64_t numbers = in.per_image() * in.channels;
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t first = tile * kDepthwiseChannels, place = tile * taps;
        read_tile(in, image, first, padded, x);
        read_gradient_tile(out, image, first, stride, spread, g);
        // A tile's weights have their own turns, so that others meanwhile compute other tiles'.
        if (image == begin) turn.wait(int(tile));
        add_tap_gradients(x, padded.width, g + spread.start(), stride * spread.width, stride,
                          kernel, stride, out.height, out.width, sums.own() + place);
        if (image + 1 == end) turn.pass(int(tile));
        if (!contribution.wanted) continue;
        correlate(g, spread.width, turned + place, kernel, 1, in.height, in.width, of_x);
        write_pixels(of_x, layout_of(in, first, in.width, 1), contribution.adds,
                     in.gradient + image * numbers + first);
      }
    }
    if (contribution.wanted && contribution.completes && in.norm != nullptr) {
      turn.wait();
      in.norm->add_gradient(in.gradient + begin * numbers, in.x + begin * numbers,
                            (end - begin) * in.per_image());
    }
  });
  return untiled(sums.total({tiles * taps}), weight);
}

#define RIDGEWALK_DEPTHWISE_PASS(T)                                                           \
  template void depthwise(const OpRows<T>&, const torch::Tensor&, int64_t, const OpRows<T>&); \
  template torch::Tensor depthwise_backward(const OpRows<T>&, const torch::Tensor&, int64_t,  \
                                            const OpRows<T>&, const Contribution&);
RIDGEWALK_DEPTHWISE_PASS(float)
RIDGEWALK_DEPTHWISE_PASS(Bf16)

}  // namespace ridgewalk
