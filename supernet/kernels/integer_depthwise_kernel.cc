#include "supernet/kernels/integer_depthwise_kernel.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "supernet/kernels/vectors.h"

#ifdef RIDGEWALK_X86
#include <immintrin.h>
#endif

namespace ridgewalk {
namespace {

constexpr int64_t kGroup = 4;                // input rows whose products one instruction adds
constexpr int64_t kLanes = 16;               // channels whose sums fill a register
constexpr int64_t kInCache = 1 << 16;        // bytes of a strip that stay in the first cache
constexpr int64_t kBlock = kGroup * kLanes;  // channels that are interleaved together

RIDGEWALK_EACH_CPU void add_products(const uint8_t* __restrict x, const int8_t* __restrict weight,
                                     int64_t count, uint8_t flip, uint8_t zero,
                                     int32_t* __restrict sums) {
  for (int64_t c = 0; c < count; ++c) sums[c] += (int(uint8_t(x[c] ^ flip)) - zero) * weight[c];
}

#ifdef RIDGEWALK_X86
using Wide = Vectors<64>;

#define RIDGEWALK_VNNI \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")))

RIDGEWALK_VNNI RIDGEWALK_INLINE __mmask16 lanes(int64_t count) {
  return count >= kLanes ? __mmask16(0xffff) : __mmask16((1 << std::max<int64_t>(count, 0)) - 1);
}

// Four rows, byte by byte: four registers of 16 bytes of each.
RIDGEWALK_VNNI RIDGEWALK_INLINE void unpack(const __m512i (&rows)[kGroup], __m512i (&to)[kGroup]) {
  // Makes up for the unpacking within 16 bytes.
  const Wide::Int order = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  __m512i of[kGroup];
#pragma GCC unroll 4
  for (int r = 0; r < kGroup; ++r) {
    of[r] = (__m512i)__builtin_shuffle((Wide::Int)rows[r], order);
  }
  const __m512i low_01 = _mm512_unpacklo_epi8(of[0], of[1]);
  const __m512i high_01 = _mm512_unpackhi_epi8(of[0], of[1]);
  const __m512i low_23 = _mm512_unpacklo_epi8(of[2], of[3]);
  const __m512i high_23 = _mm512_unpackhi_epi8(of[2], of[3]);
  to[0] = _mm512_unpacklo_epi16(low_01, low_23);
  to[1] = _mm512_unpackhi_epi16(low_01, low_23);
  to[2] = _mm512_unpacklo_epi16(high_01, high_23);
  to[3] = _mm512_unpackhi_epi16(high_01, high_23);
}

// to[4 i + r] = rows[r][i] ^ flip.
RIDGEWALK_VNNI void interleave_rows(const uint8_t* const* rows, int64_t count, uint8_t flip,
                                    uint8_t* to) {
  const uint8_t* const from[] = {rows[0], rows[1], rows[2], rows[3]};
  const __m512i flips = _mm512_set1_epi8(char(flip));
  __m512i bytes[kGroup], unpacked[kGroup];
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
#pragma GCC unroll 4
    for (int r = 0; r < kGroup; ++r) {
      bytes[r] = _mm512_xor_si512(_mm512_loadu_si512(from[r] + i), flips);
    }
    unpack(bytes, unpacked);
#pragma GCC unroll 8
    for (int part = 0; part < kGroup; ++part) {
      _mm512_storeu_si512(to + kGroup * i + part * kBlock, unpacked[part]);
    }
  }
  const int64_t left = count - i;
  if (left == 0) return;
  for (int r = 0; r < kGroup; ++r) {
    const __mmask64 here = (__mmask64{1} << left) - 1;
    bytes[r] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(here, from[r] + i), flips);
  }
  unpack(bytes, unpacked);
  for (int part = 0; part < kGroup; ++part) {
    _mm512_mask_storeu_epi32(to + kGroup * i + part * kBlock, lanes(left - part * kLanes),
                             unpacked[part]);
  }
}

// Up to 16 channels of some output rows of a strip.
struct Tile {
  const uint8_t* x;       // interleaved
  int64_t column, group;  // bytes from one to the next
  int64_t kernel_width, stride, groups;
  const int8_t* weights;
  int64_t weight_rows;
  const int32_t* bias;
  const float* factors;
  float least, most;
  int zero_point;
  int64_t channels;
  uint8_t* y;
  int64_t y_row, y_pixel;
};

template <int kRows, int kPixels>
RIDGEWALK_VNNI RIDGEWALK_INLINE void pixels(const Tile& tile, int64_t first) {
  __m512i sums[kRows][kPixels];
  const __m512i bias = _mm512_loadu_si512(tile.bias);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) sums[r][p] = bias;
  }
  const int8_t* weights = tile.weights;
  const int64_t step = tile.stride * tile.column;
  for (int64_t g = 0; g < tile.groups; ++g) {
    const uint8_t* from = tile.x + g * tile.group + first * step;
    for (int64_t v = 0; v < tile.kernel_width; ++v) {
      __m512i values[kPixels];
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p) values[p] = _mm512_loadu_si512(from + p * step);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m512i weight = _mm512_loadu_si512(weights + r * kBlock);
#pragma GCC unroll 8
        for (int p = 0; p < kPixels; ++p) {
          sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], values[p], weight);
        }
      }
      from += tile.column;
      weights += tile.weight_rows * kBlock;
    }
  }
  Wide::Float factors;
  load<Wide>(tile.factors, factors);
  const Wide::Float least = tile.least - Wide::Float{}, most = tile.most - Wide::Float{};
  const __mmask16 here = lanes(tile.channels);
  const __m128i zero = _mm_set1_epi8(char(tile.zero_point));
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      Wide::Float scaled = __builtin_convertvector((Wide::Int)sums[r][p], Wide::Float) * factors;
      scaled = scaled > least ? scaled : least;
      scaled = scaled < most ? scaled : most;
      const __m128i bytes = _mm512_maskz_cvtepi32_epi8(here, (__m512i)(scaled + kRounder));
      _mm_mask_storeu_epi8(tile.y + r * tile.y_row + (first + p) * tile.y_pixel, here,
                           _mm_add_epi8(bytes, zero));
    }
  }
}

template <int kRows>
RIDGEWALK_VNNI void all_pixels(const Tile& given, int64_t width) {
  const Tile tile = given;  // which no store changes
  int64_t x = 0;
  if constexpr (kRows == 1) {
    for (; x + 8 <= width; x += 8) pixels<kRows, 8>(tile, x);
  }
  for (; x + 4 <= width; x += 4) pixels<kRows, 4>(tile, x);
  switch (width - x) {
    case 3:
      return pixels<kRows, 3>(tile, x);
    case 2:
      return pixels<kRows, 2>(tile, x);
    case 1:
      return pixels<kRows, 1>(tile, x);
    default:
      return;
  }
}

void rows(const Tile& tile, int64_t rows, int64_t width) {
  switch (rows) {
    case 1:
      return all_pixels<1>(tile, width);
    case 2:
      return all_pixels<2>(tile, width);
    case 3:
      return all_pixels<3>(tile, width);
    default:
      return all_pixels<4>(tile, width);
  }
}
#endif

}  // namespace

bool IntegerDepthwise::is_fast() {
#ifdef RIDGEWALK_X86
  return cpu_level() >= CpuLevel::kAvx512 && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

IntegerDepthwise::IntegerDepthwise(const ConvolutionShape& shape, const int8_t* weight,
                                   const IntegerForm& input, SumRounding rounding)
    : shape_(shape),
      flip_(input.is_signed ? 0x80 : 0),
      zero_(uint8_t(input.zero_point + flip_)),
      is_packed_(is_fast()),
      groups_((shape.kernel_height + kGroup - 1) / kGroup),
      together_((kGroup * groups_ - shape.kernel_height) / shape.stride + 1),
      rounding_(std::move(rounding)) {
  if (is_packed_) {
    pack(weight);
  } else if (PairedDepthwise::can_run(shape)) {
    paired_.emplace(shape, weight, input, rounding_);
  } else {
    transpose(weight);
  }
}

const char* IntegerDepthwise::name() const {
  return is_packed_ ? "strips:avx512_vnni" : paired_ ? "pairs:avx2" : "plain";
}

void IntegerDepthwise::pack(const int8_t* weight) {
  const int64_t height = shape_.kernel_height, width = shape_.kernel_width;
  const int64_t taps = height * width;
  const int64_t blocks = (shape_.channels + kLanes - 1) / kLanes;
  weights_.resize(size_t(blocks * groups_ * width * together_ * kBlock));
  int8_t* to = weights_.data();
  for (int64_t block = 0; block < blocks; ++block) {
    for (int64_t g = 0; g < groups_; ++g) {
      for (int64_t v = 0; v < width; ++v) {
        for (int64_t r = 0; r < together_; ++r) {
          for (int64_t lane = 0; lane < kLanes; ++lane) {
            for (int64_t i = 0; i < kGroup; ++i, ++to) {
              const int64_t c = block * kLanes + lane, u = g * kGroup + i - r * shape_.stride;
              const bool is_there = c < shape_.channels && u >= 0 && u < height;
              *to = is_there ? weight[c * taps + u * width + v] : int8_t{0};
            }
          }
        }
      }
    }
  }
  rounding_.bias.resize(size_t(blocks * kLanes));
  rounding_.factors.resize(size_t(blocks * kLanes));
  for (int64_t c = 0; c < shape_.channels; ++c) {
    for (int64_t t = 0; t < taps; ++t) rounding_.bias[size_t(c)] -= zero_ * weight[c * taps + t];
  }
  outside_.assign(kInCache / kGroup, zero_ ^ flip_);
}

void IntegerDepthwise::transpose(const int8_t* weight) {
  const int64_t taps = shape_.kernel_height * shape_.kernel_width;
  for (int64_t t = 0; t < taps; ++t) {
    for (int64_t c = 0; c < shape_.channels; ++c) weights_.push_back(weight[c * taps + t]);
  }
}

// Of the padded input that are read.
int64_t IntegerDepthwise::columns() const {
  return (shape_.out_width - 1) * shape_.stride + shape_.kernel_width;
}

int64_t IntegerDepthwise::channels_at_once() const {
  const int64_t bytes = kGroup * groups_ * columns();  // of one channel
  if (bytes * shape_.channels <= kInCache) return shape_.channels;
  return std::min(shape_.channels, std::max(kBlock, kInCache / bytes / kBlock * kBlock));
}

int64_t IntegerDepthwise::scratchpad_bytes() const {
  if (!is_packed_) return shape_.channels * int64_t(sizeof(int32_t));
  const int64_t values = groups_ * columns() * channels_at_once();
  return kGroup * (values + kLanes);  // the last channels are read as a whole register
}

#ifdef RIDGEWALK_X86
// A group of input rows: [column, channel, row].
void IntegerDepthwise::interleave(const uint8_t* x, int64_t row, int64_t channel, int64_t count,
                                  uint8_t* to) const {
  const ConvolutionShape& s = shape_;
  const int64_t read = std::min(s.width, columns() - s.padding);
  const int64_t pixel = kGroup * count, right = columns() - s.padding - read;
  std::memset(to, zero_, size_t(s.padding * pixel));
  to += s.padding * pixel;
  std::memset(to + read * pixel, zero_, size_t(right * pixel));
  const bool is_one_piece = count == s.channels && read * count <= std::ssize(outside_);
  const int64_t piece = is_one_piece ? read * count : count;
  for (int64_t column = 0; column < (is_one_piece ? 1 : read); ++column, to += pixel) {
    const uint8_t* rows[kGroup];
    for (int64_t r = 0; r < kGroup; ++r) {
      const int64_t from = row + r;
      const bool is_inside = from >= 0 && from < s.height;
      rows[r] = is_inside ? x + (from * s.width + column) * s.channels + channel : outside_.data();
    }
    interleave_rows(rows, piece, flip_, to);
  }
}

void IntegerDepthwise::run_strip(const uint8_t* x, int64_t strip, int64_t channel,
                                 uint8_t* scratchpad, uint8_t* y) const {
  const ConvolutionShape& s = shape_;
  const int64_t count = std::min(channels_at_once(), s.channels - channel);
  const int64_t first = strip * together_;
  const int64_t column = kGroup * count, group = columns() * column;
  for (int64_t g = 0; g < groups_; ++g) {
    interleave(x, first * s.stride - s.padding + g * kGroup, channel, count,
               scratchpad + g * group);
  }
  const int64_t block_weights = groups_ * s.kernel_width * together_ * kBlock;
  for (int64_t c = 0; c < count; c += kLanes) {
    const size_t from = size_t(channel + c);
    const Tile tile{.x = scratchpad + kGroup * c,
                    .column = column,
                    .group = group,
                    .kernel_width = s.kernel_width,
                    .stride = s.stride,
                    .groups = groups_,
                    .weights = weights_.data() + int64_t(from) / kLanes * block_weights,
                    .weight_rows = together_,
                    .bias = rounding_.bias.data() + from,
                    .factors = rounding_.factors.data() + from,
                    .least = rounding_.least,
                    .most = rounding_.most,
                    .zero_point = rounding_.zero_point,
                    .channels = count - c,
                    .y = y + first * s.out_width * s.channels + int64_t(from),
                    .y_row = s.out_width * s.channels,
                    .y_pixel = s.channels};
    rows(tile, std::min(together_, s.out_height - first), s.out_width);
  }
}
#endif

// One output row.
void IntegerDepthwise::run_plain(const uint8_t* x, int64_t row, int32_t* sums, uint8_t* y) const {
  const ConvolutionShape& s = shape_;
  for (int64_t column = 0; column < s.out_width; ++column) {
    std::copy_n(rounding_.bias.begin(), s.channels, sums);
    for (int64_t tap = 0; tap < s.kernel_height * s.kernel_width; ++tap) {
      const int64_t i = row * s.stride - s.padding + tap / s.kernel_width;
      const int64_t j = column * s.stride - s.padding + tap % s.kernel_width;
      if (i < 0 || i >= s.height || j < 0 || j >= s.width) continue;
      add_products(x + (i * s.width + j) * s.channels, weights_.data() + tap * s.channels,
                   s.channels, flip_, zero_, sums);
    }
    round_sums(sums, s.channels, rounding_, y + (row * s.out_width + column) * s.channels);
  }
}

void IntegerDepthwise::run(const uint8_t* x, int64_t first_strip, int64_t last_strip,
                           uint8_t* scratchpad, uint8_t* y) const {
#ifdef RIDGEWALK_X86
  if (is_packed_) {
    for (int64_t channel = 0; channel < shape_.channels; channel += channels_at_once()) {
      for (int64_t strip = first_strip; strip < last_strip; ++strip) {
        run_strip(x, strip, channel, scratchpad, y);
      }
    }
    return;
  }
#endif
  const int64_t end = std::min(last_strip * together_, shape_.out_height);
  for (int64_t row = first_strip * together_; row < end; ++row) {
    if (paired_) {
      paired_->run(x, row, y);
    } else {
      run_plain(x, row, reinterpret_cast<int32_t*>(scratchpad), y);
    }
  }
}

}  // namespace ridgewalk
