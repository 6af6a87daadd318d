#include "supernet/kernels/packing.h"

#include <algorithm>
#include <cstring>

#include "supernet/kernels/vectors.h"

namespace ridgewalk {
namespace {

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

// Whether a register of units is made at once.
template <class T, class V>
constexpr bool has_units() {
  return std::is_same_v<T, float> || kHasBf16<V>;
}
template <class T, class V>
RIDGEWALK_INLINE void to_units(const float* from, typename V::Word& to) {
  typename V::Float low;
  load<V>(from, low);
  if constexpr (std::is_same_v<T, float>) {
    to = (typename V::Word)low;
  } else {
#ifdef RIDGEWALK_X86
    typename V::Float high;
    load<V>(from + V::kLanes, high);
    asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(to) : "v"(low), "v"(high));
#endif
  }
}

// Columns lie one after the other. `some` of them, at most as many as a register holds, are turned
// into rows.
template <class T, class V>
RIDGEWALK_INLINE void turn(const float* from, int64_t stride, int64_t depth, int64_t some,
                           typename UnitOf<T>::Unit* to, int64_t panel) {
  using Unit = typename UnitOf<T>::Unit;
  constexpr int64_t kDepth = UnitOf<T>::kDepth, kLanes = V::kLanes;
  for (int64_t first = 0; first < depth; first += kLanes * kDepth) {
    const int64_t count = std::min(kLanes * kDepth, depth - first);
    typename V::Word rows[kLanes];
    if (has_units<T, V>() && some == kLanes && count == kLanes * kDepth) {
      for (int64_t c = 0; c < kLanes; ++c) to_units<T, V>(from + c * stride + first, rows[c]);
    } else {
      Unit columns[kLanes][kLanes] = {};
      for (int64_t c = 0; c < some; ++c) to_units(from + c * stride + first, count, columns[c]);
      for (int64_t c = 0; c < kLanes; ++c) {
        rows[c] = *reinterpret_cast<const typename V::WordAt*>(columns[c]);
      }
    }
    transpose<V>(rows);
    const int64_t units = (count + kDepth - 1) / kDepth;
    for (int64_t u = 0; u < units; ++u, to += panel) {
      *reinterpret_cast<typename V::WordAt*>(to) = rows[u];
    }
  }
}

template <class T, class V>
RIDGEWALK_INLINE void transposed(const float* from, int64_t stride, int64_t depth, int64_t columns,
                                 int64_t panel, typename UnitOf<T>::Unit* to) {
  const int64_t all = units<T>(depth);
  for (int64_t first = 0; first < columns; first += panel, to += all * panel) {
    for (int64_t c = 0; c < panel; c += V::kLanes) {
      const int64_t some = std::clamp<int64_t>(columns - first - c, 0, V::kLanes);
      turn<T, V>(from + (first + c) * stride, stride, depth, some, to + c, panel);
    }
  }
}

// One row of units, from one row or a pair of them; `next` may be null.
template <class V>
RIDGEWALK_INLINE void unit_row(const float* row, const float*, int64_t count, float* to) {
  for (int64_t c = 0; c < count; ++c) to[c] = row[c];
}
template <class V>
RIDGEWALK_INLINE void unit_row(const float* row, const float* next, int64_t count, uint32_t* to) {
  int64_t c = 0;
  for (; next != nullptr && c + V::kLanes <= count; c += V::kLanes) {
    typename V::Float first, second;
    typename V::Half low, high;
    load<V>(row + c, first);
    load<V>(next + c, second);
    round<V>(first, low);
    round<V>(second, high);
    typename V::Word lower, upper;
    widen<V>(low, lower);
    widen<V>(high, upper);
    *reinterpret_cast<typename V::WordAt*>(to + c) = lower | upper << 16;
  }
  for (; c < count; ++c) {
    Bf16 low, high{};
    store(row[c], low);
    if (next != nullptr) store(next[c], high);
    to[c] = pair(low, high);
  }
}

// Rows of columns lie one after the other.
template <class T, class V, class Unit>
RIDGEWALK_INLINE void in_order(const float* __restrict from, int64_t stride, int64_t depth,
                               int64_t columns, int64_t panel, Unit* __restrict to) {
  for (int64_t first = 0; first < columns; first += panel) {
    const int64_t count = std::min(panel, columns - first);
    for (int64_t d = 0; d < depth; d += UnitOf<T>::kDepth) {
      const float* row = from + d * stride + first;
      unit_row<V>(row, d + 1 < depth ? row + stride : nullptr, count, to);
      for (int64_t c = count; c < panel; ++c) to[c] = Unit{};
      to += panel;
    }
  }
}

template <class T, class V>
RIDGEWALK_INLINE void packed(const float* from, int64_t depth_stride, int64_t column_stride,
                             int64_t depth, int64_t columns, typename UnitOf<T>::Unit* to) {
  if (depth_stride == 1) {
    return transposed<T, V>(from, column_stride, depth, columns, panel_columns(), to);
  }
  in_order<T, V>(from, depth_stride, depth, columns, panel_columns(), to);
}

template <class Unit>
using OfUnit = std::conditional_t<std::is_same_v<Unit, float>, float, Bf16>;

#define RIDGEWALK_PACK(ATTRIBUTE, NAME, VECTORS)                                             \
  template <class Unit>                                                                      \
  ATTRIBUTE void pack_##NAME(const float* from, int64_t depth_stride, int64_t column_stride, \
                             int64_t depth, int64_t columns, Unit* to) {                     \
    packed<OfUnit<Unit>, VECTORS>(from, depth_stride, column_stride, depth, columns, to);    \
  }
RIDGEWALK_PACK(, base, Vectors<16>)
#ifdef RIDGEWALK_X86
RIDGEWALK_PACK(RIDGEWALK_AVX2, avx2, Vectors<32>)
RIDGEWALK_PACK(RIDGEWALK_AVX512, avx512, Vectors<64>)
RIDGEWALK_PACK(RIDGEWALK_AVX512, avx512_bf16, Bf16Vectors)
#endif

}  // namespace

template <class T>
void pack(const float* from, int64_t depth_stride, int64_t column_stride, int64_t depth,
          int64_t columns, typename UnitOf<T>::Unit* to) {
  RIDGEWALK_FOR_THIS_CPU(pack, from, depth_stride, column_stride, depth, columns, to);
}
template void pack<float>(const float*, int64_t, int64_t, int64_t, int64_t, float*);
template void pack<Bf16>(const float*, int64_t, int64_t, int64_t, int64_t, uint32_t*);

void pack_integers(const int16_t* from, int64_t stride, int64_t depth, int64_t columns,
                   UnitOf<int16_t>::Unit* to) {
  const int64_t panel = panel_columns();
  const auto number = [&](int64_t d, int64_t c) {
    return d < depth && c < columns ? uint16_t(from[c * stride + d]) : uint16_t{};
  };
  for (int64_t first = 0; first < columns; first += panel) {
    for (int64_t d = 0; d < depth; d += 2) {
      for (int64_t c = first; c < first + panel; ++c) {
        *to++ = number(d, c) | uint32_t(number(d + 1, c)) << 16;
      }
    }
  }
}

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
