// Products of matrices that lie in a cache: of fp32 or bf16, summed in fp32, and of 16-bit
// integers, summed exactly.
#pragma once

#include <cstdint>

#include "supernet/kernels/bf16.h"

namespace ridgewalk {

// What a product multiplies at once: an fp32, or a pair of bf16 or of integers that are neighbours
// in depth (the first in the lower half).
template <class T>
struct UnitOf;
template <>
struct UnitOf<float> {
  using Unit = float;
  static constexpr int64_t kDepth = 1;
};
template <>
struct UnitOf<Bf16> {
  using Unit = uint32_t;
  static constexpr int64_t kDepth = 2;
};
template <>
struct UnitOf<int16_t> {
  typedef uint32_t Unit __attribute__((may_alias));  // of an array of int16_t
  static constexpr int64_t kDepth = 2;
};

// Columns of a panel: `right` is read in panels of so many units per depth, of which those behind
// the last column count for nothing but must be readable.
int64_t panel_columns();

// left [rows, depth] times right [depth, columns]. Strides and depth are in units of T.
template <class T>
struct Product {
  using Unit = typename UnitOf<T>::Unit;
  const Unit* left = nullptr;
  int64_t row = 0, step = 1;  // from row to row, and in depth: one of them is 1
  const Unit* right = nullptr;
  int64_t panel = 0, right_step = 0;  // from panel to panel, and in depth
  int64_t rows = 0, columns = 0, depth = 0;
};

// Writes the product to `result`, whose rows are `row` elements apart, or adds it.
void multiply(const Product<float>& product, float* result, int64_t row);
void multiply_add(const Product<float>& product, float* result, int64_t row);
void multiply(const Product<Bf16>& product, Bf16* result, int64_t row);
void multiply(const Product<Bf16>& product, float* result, int64_t row);
void multiply_add(const Product<Bf16>& product, Bf16* result, int64_t row);
void multiply_add(const Product<Bf16>& product, float* result, int64_t row);
// The sums must fit 32 bits, and no pair of products may be twice the square of -2^15.
void multiply_add(const Product<int16_t>& product, int32_t* result, int64_t row);

}  // namespace ridgewalk
