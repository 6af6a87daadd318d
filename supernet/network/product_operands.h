// Rows of ops as operands of matrix products. Only for the .cc files of passes.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/types.h>

#include "supernet/kernels/packing.h"
#include "supernet/network/op_rows.h"

namespace ridgewalk {

// A product whose left operand is rows [rows, depth]. An odd number of bf16 in a row is copied into
// rows of pairs.
template <class T>
Product<T> left_rows(const T* x, int64_t rows, int64_t depth, Scratch purpose) {
  using Unit = typename UnitOf<T>::Unit;
  constexpr int64_t kDepth = UnitOf<T>::kDepth;
  const int64_t own = units<T>(depth);
  if (depth % kDepth != 0) {
    T* even = scratch<T>(purpose, rows * own * kDepth);
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(even + r * own * kDepth, x + r * depth, size_t(depth) * sizeof(T));
      even[r * own * kDepth + depth] = T{};
    }
    x = even;
  }
  Product<T> product;
  product.left = reinterpret_cast<const Unit*>(x);
  product.row = own;
  product.rows = rows;
  product.depth = own;
  return product;
}

// `packed` is by pack() of a matrix as deep as the left operand.
template <class T>
void set_packed_right(Product<T>& product, const typename UnitOf<T>::Unit* packed,
                      int64_t columns) {
  product.right = packed;
  product.panel = panel_columns() * product.depth;
  product.right_step = panel_columns();
  product.columns = columns;
}

// The rows of `in` from `first` on as readers see them. Numbers behind the last may be read, so
// that kernels need not care where a panel ends.
template <class T>
const T* read_rows(const OpRows<T>& in, int64_t first, int64_t rows) {
  const T* x = in.x + first * in.channels;
  if (in.norm == nullptr && in.channels % panel_columns() == 0) return x;
  T* read = scratch<T>(Scratch::kInput, rows * in.channels);
  if (in.norm != nullptr) {
    in.norm->read(x, rows, read);
  } else {
    std::memcpy(read, x, size_t(rows * in.channels) * sizeof(T));
  }
  return read;
}

// The gradient of the rows of out.x.
template <class T>
const T* gradient_rows(const OpRows<T>& out, int64_t first, int64_t rows) {
  const int64_t at = first * out.channels;
  if (out.norm == nullptr) return out.gradient + at;
  T* read = scratch<T>(Scratch::kOutput, rows * out.channels);
  out.norm->read_gradient(out.gradient + at, out.x + at, rows, read);
  return read;
}

// Adds left^T right to sum [columns, depth], for left [units, columns] and right [units, depth].
template <class T>
void add_transposed_product(const typename UnitOf<T>::Unit* left, int64_t columns,
                            const typename UnitOf<T>::Unit* right, int64_t depth, int64_t units,
                            float* sum) {
  Product<T> product;
  product.left = left;
  product.row = 1;
  product.step = columns;
  product.right = right;
  product.panel = panel_columns();
  product.right_step = depth;
  product.rows = columns;
  product.columns = depth;
  product.depth = units;
  multiply_add(product, sum, depth);
}

// Adds of_y^T x to sum [columns, depth], for of_y [rows, columns] and x [rows, depth].
inline void add_weight_gradient(const float* of_y, int64_t columns, const float* x, int64_t depth,
                                int64_t rows, float* sum) {
  add_transposed_product<float>(of_y, columns, x, depth, rows, sum);
}
inline void add_weight_gradient(const Bf16* of_y, int64_t columns, const Bf16* x, int64_t depth,
                                int64_t rows, float* sum) {
  const int64_t pairs = units<Bf16>(rows);
  auto* left = scratch<uint32_t>(Scratch::kOutputPairs, pairs * columns);
  auto* right = scratch<uint32_t>(Scratch::kInputPairs, pairs * depth);
  pair_rows(of_y, rows, columns, left);
  pair_rows(x, rows, depth, right);
  add_transposed_product<Bf16>(left, columns, right, depth, pairs, sum);
}

// A sum over rows that all threads of at::parallel_for() add to: each has one of its own, and they
// are added in the order of the threads. In lanes there is one, which pieces are added to in turns.
class ThreadSums {
 public:
  explicit ThreadSums(int64_t count) : count_(count), parts_(size_t(at::get_num_threads())) {}
  float* own() {
    torch::Tensor& part = parts_[size_t(at::get_thread_num())];
    if (!part.defined()) part = torch::zeros({count_});
    return part.data_ptr<float>();
  }
  torch::Tensor total(at::IntArrayRef sizes) {
    torch::Tensor total;
    for (const torch::Tensor& part : parts_) {
      if (!part.defined()) continue;
      total.defined() ? void(total.add_(part)) : void(total = part);
    }
    return (total.defined() ? total : torch::zeros({count_})).view(sizes);
  }

 private:
  int64_t count_;
  std::vector<torch::Tensor> parts_;
};

}  // namespace ridgewalk
