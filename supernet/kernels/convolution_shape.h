// What the kernels of integer convolutions are told of one.
#pragma once

#include <cstdint>

namespace ridgewalk {

struct ConvolutionShape {
  int64_t in_channels = 0, channels = 0, groups = 1;
  int64_t kernel_height = 1, kernel_width = 1, stride = 1;
  int64_t height = 0, width = 0;          // of the input
  int64_t out_height = 0, out_width = 0;  // what lies outside the input is 0
  int64_t padding = 0;                    // above and on the left
};

}  // namespace ridgewalk
