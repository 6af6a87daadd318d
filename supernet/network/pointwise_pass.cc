#include "supernet/network/pointwise_pass.h"

#include <algorithm>
#include <cstring>

#include "supernet/kernels/packing.h"
#include "supernet/network/product_operands.h"
#include "supernet/network/shared_loop.h"

namespace ridgewalk {
namespace {

constexpr int64_t kProductBytes = 192 << 10;  // of a block's operands, which should stay in a cache

template <class T>
int64_t block_rows(int64_t channels) {
  const int64_t rows = kProductBytes / (int64_t(sizeof(T)) * channels);
  return std::clamp<int64_t>(rows / 16 * 16, 32, 512);
}

// Calls run(first row, last row, turn) for blocks of rows, on as many threads as are worth it.
template <class Run>
void in_blocks(int64_t rows, int64_t block, int64_t macs_per_row, Run run) {
  constexpr int64_t kThreadMacs = 1 << 20;
  const int64_t blocks = (rows + block - 1) / block;
  const int64_t grain = 1 + kThreadMacs / std::max<int64_t>(1, macs_per_row * block);
  for_pieces(blocks, grain, [&](int64_t begin, int64_t end, const Turn& turn) {
    for (int64_t b = begin; b < end; ++b) run(b * block, std::min((b + 1) * block, rows), turn);
  });
}

}  // namespace

template <class T>
void pointwise(const OpRows<T>& in, const torch::Tensor& weight, const OpRows<T>& out) {
  const int64_t depth = in.channels, columns = out.channels;
  auto* packed =
      scratch<typename UnitOf<T>::Unit>(Scratch::kWeights, packed_units<T>(depth, columns));
  pack<T>(weight.data_ptr<float>(), 1, weight.stride(0), depth, columns, packed);
  in_blocks(in.rows(), block_rows<T>(depth + columns), depth * columns,
            [&](int64_t first, int64_t last, const Turn& turn) {
              const int64_t rows = last - first;
              const T* x = in.x + first * depth;
              if (in.norm != nullptr) {
                T* read = scratch<T>(Scratch::kInput, rows * depth);
                in.norm->read(x, rows, read);
                x = read;
              }
              T* y = out.x + first * columns;
              Product<T> product = left_rows<T>(x, rows, depth, Scratch::kInputPairs);
              set_packed_right(product, packed, columns);
              multiply(product, y, columns);
              if (out.norm == nullptr) return;
              turn.wait();
              out.norm->add(y, rows);
            });
}

template <class T>
torch::Tensor pointwise_backward(const OpRows<T>& in, const torch::Tensor& weight,
                                 const OpRows<T>& out, const Contribution& contribution) {
  const int64_t depth = in.channels, columns = out.channels;
  auto* packed =
      scratch<typename UnitOf<T>::Unit>(Scratch::kWeights, packed_units<T>(columns, depth));
  if (contribution.wanted) {
    pack<T>(weight.data_ptr<float>(), weight.stride(0), 1, columns, depth, packed);
  }
  ThreadSums sums(columns * depth);
  in_blocks(in.rows(), block_rows<T>(2 * (depth + columns)), 2 * depth * columns,
            [&](int64_t first, int64_t last, const Turn& turn) {
              const int64_t rows = last - first;
              T* of_x = in.gradient + first * depth;
              const T* of_y = gradient_rows(out, first, rows);
              if (contribution.wanted) {
                Product<T> product = left_rows<T>(of_y, rows, columns, Scratch::kOutputPairs);
                set_packed_right(product, packed, depth);
                contribution.adds ? multiply_add(product, of_x, depth)
                                  : multiply(product, of_x, depth);
              }
              const T* x = read_rows(in, first, rows);
              turn.wait();
              add_weight_gradient(of_y, columns, x, depth, rows, sums.own());
              if (contribution.wanted && contribution.completes && in.norm != nullptr) {
                in.norm->add_gradient(of_x, in.x + first * depth, rows);
              }
            });
  return sums.total(weight.sizes());
}

#define RIDGEWALK_POINTWISE(T)                                                       \
  template void pointwise(const OpRows<T>&, const torch::Tensor&, const OpRows<T>&); \
  template torch::Tensor pointwise_backward(const OpRows<T>&, const torch::Tensor&,  \
                                            const OpRows<T>&, const Contribution&);
RIDGEWALK_POINTWISE(float)
RIDGEWALK_POINTWISE(Bf16)

}  // namespace ridgewalk
