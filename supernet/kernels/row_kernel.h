// Sums of rows of numbers.
#pragma once

#include <cstdint>

#include "supernet/kernels/bf16.h"

namespace ridgewalk {

// to = x, or to += x.
void set_row(const float* x, int64_t count, float* to);
void set_row(const float* x, int64_t count, Bf16* to);
void add_row(const float* x, int64_t count, float* to);
void add_row(const float* x, int64_t count, Bf16* to);
void add_row(const Bf16* x, int64_t count, Bf16* to);
void add_row(const Bf16* x, int64_t count, float* to);

}  // namespace ridgewalk
