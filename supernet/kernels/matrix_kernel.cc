#include "supernet/kernels/matrix_kernel.h"

#include <algorithm>
#include <type_traits>

#include "supernet/kernels/vectors.h"

namespace ridgewalk {
namespace {

constexpr int kVectors = 2;  // columns of a tile, in registers
// Rows of a tile, whose sums stay in registers. x86 has 32 of them only with AVX-512; of 8 rows in
// 16 registers, some would be stored and loaded at each depth.
#ifdef RIDGEWALK_X86
template <class V>
constexpr int kRows = V::kLanes == 16 ? 8 : 4;
#else
template <class V>
constexpr int kRows = 8;
#endif

// Adds a * b, number by number.
template <class V>
RIDGEWALK_INLINE void add_product(float a, const typename V::Float& b, typename V::Float& sum) {
  sum += a * b;
}
template <class V>
RIDGEWALK_INLINE void add_product(uint32_t a, const typename V::Word& b, typename V::Float& sum) {
#ifdef RIDGEWALK_X86
  if constexpr (kHasBf16<V>) {
    const typename V::Word left = a - typename V::Word{};
    typename V::Float total = sum;
    asm("vdpbf16ps %2, %1, %0" : "+v"(total) : "v"(left), "v"(b));
    sum = total;
    return;
  }
#endif
  const auto low = std::bit_cast<float>(a << 16), high = std::bit_cast<float>(a & 0xffff0000);
  sum += low * (typename V::Float)(b << 16);
  sum += high * (typename V::Float)(b & 0xffff0000);
}

// Both products of a pair of integers.
template <class V>
RIDGEWALK_INLINE void add_product(uint32_t a, const typename V::Word& b, typename V::Int& sum) {
  using Int = typename V::Int;
#ifdef RIDGEWALK_X86
  const typename V::Word left = a - typename V::Word{};
  auto both = (Int)left;
  if constexpr (V::kLanes > 4) {
    asm("vpmaddwd %1, %0, %0" : "+v"(both) : "v"(b));
  } else {
    asm("pmaddwd %1, %0" : "+x"(both) : "x"(b));
  }
  sum += both;
#else
  sum += int32_t(int16_t(a)) * ((Int)(b << 16) >> 16);
  sum += int32_t(int16_t(a >> 16)) * ((Int)b >> 16);
#endif
}

template <class V>
RIDGEWALK_INLINE void load_units(const float* from, typename V::Float& to) {
  to = *reinterpret_cast<const typename V::FloatAt*>(from);
}
template <class V>
RIDGEWALK_INLINE void load_units(const uint32_t* from, typename V::Word& to) {
  to = *reinterpret_cast<const typename V::WordAt*>(from);
}

template <class V, class T>
struct RegisterOf {
  using Type = typename V::Float;
};
template <class V>
struct RegisterOf<V, Bf16> {
  using Type = typename V::Word;
};
template <class V>
struct RegisterOf<V, int16_t> {
  using Type = typename V::Word;
};

// Sums in registers, and one by one.
template <class V, class T>
struct SumOf {
  using Type = typename V::Float;
  using Number = float;
};
template <class V>
struct SumOf<V, int16_t> {
  using Type = typename V::Int;
  using Number = int32_t;
};

template <bool kAdds, class V, class Sum, class Result>
RIDGEWALK_INLINE void put(const Sum& sum, Result* to) {
  if constexpr (kAdds) {
    Sum before;
    load<V>(to, before);
    before += sum;
    store<V>(before, to);
  } else {
    store<V>(sum, to);
  }
}

template <bool kAdds, class Result>
RIDGEWALK_INLINE void put_one(float sum, Result& to) {
  store(kAdds ? to_float(to) + sum : sum, to);
}
template <bool kAdds>
RIDGEWALK_INLINE void put_one(int32_t sum, int32_t& to) {
  to = kAdds ? to + sum : sum;
}

// One tile: kTile rows by kWide registers, of which `columns` numbers count.
template <class V, bool kAdds, int kTile, int kWide, bool kAcross, class T, class Result>
RIDGEWALK_INLINE void tile(const Product<T>& p, const typename UnitOf<T>::Unit* left,
                           const typename UnitOf<T>::Unit* right, int64_t columns, Result* result,
                           int64_t row) {
  typename SumOf<V, T>::Type sums[kTile][kWide];
#pragma GCC unroll 16
  for (int r = 0; r < kTile; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kWide; ++v) sums[r][v] = typename SumOf<V, T>::Type{};
  }
  const int64_t left_row = kAcross ? 1 : p.row, step = kAcross ? p.step : 1;
  const int64_t depth = p.depth, right_step = p.right_step;
  for (int64_t d = 0; d < depth; ++d) {
    typename RegisterOf<V, T>::Type b[kWide];
#pragma GCC unroll 4
    for (int v = 0; v < kWide; ++v) load_units<V>(right + v * V::kLanes, b[v]);
#pragma GCC unroll 16
    for (int r = 0; r < kTile; ++r) {
      const auto a = left[r * left_row];
#pragma GCC unroll 4
      for (int v = 0; v < kWide; ++v) add_product<V>(a, b[v], sums[r][v]);
    }
    left += step;
    right += right_step;
  }
  if (columns == kWide * V::kLanes) {
#pragma GCC unroll 16
    for (int r = 0; r < kTile; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kWide; ++v) put<kAdds, V>(sums[r][v], result + r * row + v * V::kLanes);
    }
    return;
  }
  typename SumOf<V, T>::Number all[kTile][kWide * V::kLanes];
#pragma GCC unroll 16
  for (int r = 0; r < kTile; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kWide; ++v) store<V>(sums[r][v], all[r] + v * V::kLanes);
  }
  for (int r = 0; r < kTile; ++r) {
    for (int64_t c = 0; c < columns; ++c) put_one<kAdds>(all[r][c], result[r * row + c]);
  }
}

// A panel: all rows by up to kVectors registers.
template <class V, bool kAdds, int kWide, bool kAcross, class T, class Result>
RIDGEWALK_INLINE void panel(const Product<T>& p, const typename UnitOf<T>::Unit* right,
                            int64_t columns, Result* result, int64_t row) {
  const int64_t left_row = kAcross ? 1 : p.row;
  int64_t r = 0;
  for (; r + kRows<V> <= p.rows; r += kRows<V>) {
    tile<V, kAdds, kRows<V>, kWide, kAcross>(p, p.left + r * left_row, right, columns,
                                             result + r * row, row);
  }
  for (; r < p.rows; ++r) {
    tile<V, kAdds, 1, kWide, kAcross>(p, p.left + r * left_row, right, columns, result + r * row,
                                      row);
  }
}

template <class V, bool kAdds, bool kAcross, class T, class Result>
RIDGEWALK_INLINE void all_panels(const Product<T>& p, Result* result, int64_t row) {
  constexpr int64_t kColumns = kVectors * V::kLanes;
  for (int64_t first = 0; first < p.columns; first += kColumns) {
    const auto* right = p.right + first / kColumns * p.panel;
    const int64_t columns = std::min(kColumns, p.columns - first);
    if (columns > V::kLanes) {
      panel<V, kAdds, 2, kAcross>(p, right, columns, result + first, row);
    } else {
      panel<V, kAdds, 1, kAcross>(p, right, columns, result + first, row);
    }
  }
}

template <class V, bool kAdds, class T, class Result>
RIDGEWALK_INLINE void product_of(const Product<T>& p, Result* result, int64_t row) {
  if (p.step == 1) return all_panels<V, kAdds, false>(p, result, row);
  all_panels<V, kAdds, true>(p, result, row);
}

template <bool kAdds, class T, class Result>
void base(const Product<T>& p, Result* result, int64_t row) {
  product_of<Vectors<16>, kAdds>(p, result, row);
}
#ifdef RIDGEWALK_X86
template <bool kAdds, class T, class Result>
RIDGEWALK_AVX2 void avx2(const Product<T>& p, Result* result, int64_t row) {
  product_of<Vectors<32>, kAdds>(p, result, row);
}
template <bool kAdds, class T, class Result>
RIDGEWALK_AVX512 void avx512(const Product<T>& p, Result* result, int64_t row) {
  product_of<Vectors<64>, kAdds>(p, result, row);
}
template <bool kAdds, class Result>
RIDGEWALK_AVX512 void avx512_bf16(const Product<Bf16>& p, Result* result, int64_t row) {
  product_of<Bf16Vectors, kAdds>(p, result, row);
}
#endif

template <bool kAdds, class T, class Result>
void run(const Product<T>& p, Result* result, int64_t row) {
#ifdef RIDGEWALK_X86
  switch (cpu_level()) {
    case CpuLevel::kAvx512Bf16:
      if constexpr (std::is_same_v<T, Bf16>) return avx512_bf16<kAdds>(p, result, row);
      [[fallthrough]];
    case CpuLevel::kAvx512:
      return avx512<kAdds>(p, result, row);
    case CpuLevel::kAvx2:
      return avx2<kAdds>(p, result, row);
    case CpuLevel::kBase:
      break;
  }
#endif
  base<kAdds>(p, result, row);
}

}  // namespace

int64_t panel_columns() {
  switch (cpu_level()) {
    case CpuLevel::kAvx512Bf16:
    case CpuLevel::kAvx512:
      return kVectors * 16;
    case CpuLevel::kAvx2:
      return kVectors * 8;
    case CpuLevel::kBase:
      break;
  }
  return kVectors * 4;
}

void multiply(const Product<float>& product, float* result, int64_t row) {
  run<false>(product, result, row);
}
void multiply_add(const Product<float>& product, float* result, int64_t row) {
  run<true>(product, result, row);
}
void multiply(const Product<Bf16>& product, Bf16* result, int64_t row) {
  run<false>(product, result, row);
}
void multiply(const Product<Bf16>& product, float* result, int64_t row) {
  run<false>(product, result, row);
}
void multiply_add(const Product<Bf16>& product, Bf16* result, int64_t row) {
  run<true>(product, result, row);
}
void multiply_add(const Product<Bf16>& product, float* result, int64_t row) {
  run<true>(product, result, row);
}
void multiply_add(const Product<int16_t>& product, int32_t* result, int64_t row) {
  run<true>(product, result, row);
}

}  // namespace ridgewalk
