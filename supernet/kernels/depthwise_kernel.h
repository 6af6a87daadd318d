// Depthwise convolutions of 16 channels of an image, in fp32.
#pragma once

#include <cstdint>

#include "supernet/kernels/bf16.h"
#include "supernet/kernels/norm_kernel.h"

namespace ridgewalk {

constexpr int64_t kDepthwiseChannels = 16;  // that lie side by side; a pixel is these

// y(i, j) = sum over the k x k taps (u, v) of weight(u, v) * x(i * stride + u, j * stride + v), for
// all pixels of y [height, width]. Rows of x are `row` pixels long.
void correlate(const float* x, int64_t row, const float* weight, int64_t kernel, int64_t stride,
               int64_t height, int64_t width, float* y);

// Adds to of_weight(u, v) the sum over all (i, j) of x(i * stride + u, j * stride + v) * g(i, j).
// g(i, j) is at g + i * g_row + j * g_step pixels.
void add_tap_gradients(const float* x, int64_t row, const float* g, int64_t g_row, int64_t g_step,
                       int64_t kernel, int64_t stride, int64_t height, int64_t width,
                       float* of_weight);

// Where some channels of an image are.
struct PixelLayout {
  int64_t height = 0, width = 0;
  int64_t channels = 0;       // from pixel to pixel of the image
  int64_t count = 0;          // channels that are there, at most kDepthwiseChannels
  int64_t row = 0, step = 0;  // of the pixels: from row to row and from column to column
};

// The channels of an image as pixels: x, or scale * x + offset by channel, of which only what is
// above 0 if `relu`.
template <class T>
void read_pixels(const T* x, const float* scale, const float* offset, bool relu,
                 const PixelLayout& layout, float* to);
// g, or what mix_rows() makes of it and x; `mixture` points at the first of the channels.
template <class T>
void read_gradient_pixels(const T* g, const T* x, const Mixture& mixture, const PixelLayout& layout,
                          float* to);
// Writes pixels into an image, or adds them to it.
template <class T>
void write_pixels(const float* from, const PixelLayout& layout, bool adds, T* to);

}  // namespace ridgewalk
