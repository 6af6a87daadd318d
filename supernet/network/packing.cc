#include "supernet/network/packing.h"

#include <algorithm>
#include <cstring>

#include "supernet/network/each_cpu.h"

namespace ridgewalk {
namespace {

constexpr int64_t kUnits = 16;  // of depth that are transposed together

RIDGEWALK_INLINE uint32_t pair(Bf16 low, Bf16 high) { return low.bits | uint32_t(high.bits) << 16; }

RIDGEWALK_INLINE void to_units(const float* from, int64_t depth, float* to) {
  for (int64_t d = 0; d < depth; ++d) to[d] = from[d];
}
RIDGEWALK_INLINE void to_units(const float* from, int64_t depth, uint32_t* to) {
  for (int64_t u = 0; u < depth / 2; ++u) {
    Bf16 low, high;
    store(from[2 * u], low);
    store(from[2 * u + 1], high);
    to[u] = pair(low, high);
  }
  if (depth % 2 == 0) return;
  Bf16 last;
  store(from[depth - 1], last);
  to[depth / 2] = last.bits;
}

// Columns lie one after the other.
template <class T, class Unit>
RIDGEWALK_INLINE void transposed(const float* __restrict from, int64_t stride, int64_t depth,
                                 int64_t columns, int64_t panel, Unit* __restrict to) {
  constexpr int64_t kDepth = UnitOf<T>::kDepth;
  const int64_t all = (depth + kDepth - 1) / kDepth;
  for (int64_t first = 0; first < columns; first += panel) {
    const int64_t count = std::min(panel, columns - first);
    for (int64_t u = 0; u < all; u += kUnits) {
      const int64_t some = std::min(kUnits, all - u);
      for (int64_t c = 0; c < panel; ++c) {
        Unit column[kUnits] = {};
        if (c < count) {
          const float* start = from + (first + c) * stride + u * kDepth;
          to_units(start, std::min(kUnits * kDepth, depth - u * kDepth), column);
        }
        for (int64_t i = 0; i < some; ++i) to[(u + i) * panel + c] = column[i];
      }
    }
    to += all * panel;
  }
}

// Rows of columns lie one after the other.
template <class T, class Unit>
RIDGEWALK_INLINE void in_order(const float* __restrict from, int64_t stride, int64_t depth,
                               int64_t columns, int64_t panel, Unit* __restrict to) {
  for (int64_t first = 0; first < columns; first += panel) {
    const int64_t count = std::min(panel, columns - first);
    for (int64_t d = 0; d < depth; d += UnitOf<T>::kDepth) {
      const float* row = from + d * stride + first;
      if constexpr (std::is_same_v<T, float>) {
        for (int64_t c = 0; c < count; ++c) to[c] = row[c];
      } else {
        const float* next = d + 1 < depth ? row + stride : nullptr;
        for (int64_t c = 0; c < count; ++c) {
          Bf16 low, high{};
          store(row[c], low);
          if (next != nullptr) store(next[c], high);
          to[c] = pair(low, high);
        }
      }
      for (int64_t c = count; c < panel; ++c) to[c] = Unit{};
      to += panel;
    }
  }
}

#define RIDGEWALK_PACK(T)                                                                        \
  RIDGEWALK_EACH_CPU void packed(const float* from, int64_t depth_stride, int64_t column_stride, \
                                 int64_t depth, int64_t columns, int64_t panel,                  \
                                 UnitOf<T>::Unit* to) {                                          \
    if (depth_stride == 1) return transposed<T>(from, column_stride, depth, columns, panel, to); \
    in_order<T>(from, depth_stride, depth, columns, panel, to);                                  \
  }
RIDGEWALK_PACK(float)
RIDGEWALK_PACK(Bf16)

}  // namespace

template <class T>
void pack(const float* from, int64_t depth_stride, int64_t column_stride, int64_t depth,
          int64_t columns, typename UnitOf<T>::Unit* to) {
  packed(from, depth_stride, column_stride, depth, columns, panel_columns(), to);
}
template void pack<float>(const float*, int64_t, int64_t, int64_t, int64_t, float*);
template void pack<Bf16>(const float*, int64_t, int64_t, int64_t, int64_t, uint32_t*);

RIDGEWALK_EACH_CPU void pair_rows(const Bf16* rows, int64_t count, int64_t channels, uint32_t* to) {
  for (int64_t r = 0; r < count; r += 2) {
    const Bf16* __restrict low = rows + r * channels;
    const Bf16* __restrict high = low + channels;
    uint32_t* __restrict out = to + r / 2 * channels;
    if (r + 1 < count) {
      for (int64_t c = 0; c < channels; ++c) out[c] = pair(low[c], high[c]);
    } else {
      for (int64_t c = 0; c < channels; ++c) out[c] = low[c].bits;
    }
  }
}

}  // namespace ridgewalk
