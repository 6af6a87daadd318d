#include "supernet/kernels/paired_depthwise_kernel.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "supernet/kernels/vectors.h"

#ifdef RIDGEWALK_X86
#include <immintrin.h>
#endif

namespace ridgewalk {
namespace {

constexpr int64_t kBlock = 16;  // channels whose widened values fill a register
constexpr int64_t kHalf = 8;    // whose sums do

// Interleaving takes place within 16 bytes: the channels of each half of a block.
constexpr std::array<int64_t, kBlock> kOrder = {0, 1, 2, 3, 8,  9,  10, 11,
                                                4, 5, 6, 7, 12, 13, 14, 15};

int64_t blocks(int64_t channels) { return (channels + kBlock - 1) / kBlock; }
// The last block overlaps the one before, so that it is as wide as all others where there are two.
int64_t first_channel(int64_t block, int64_t channels) {
  return std::max<int64_t>(0, std::min(block * kBlock, channels - kBlock));
}

#ifdef RIDGEWALK_X86
struct Block {
  const int16_t* weights;
  int64_t pairs;
  const int32_t* bias;
  const float* factors;
  float least, most;
  int zero_point;
};

template <bool kSigned>
RIDGEWALK_AVX2 RIDGEWALK_INLINE __m256i widened(const uint8_t* from) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return kSigned ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
}

RIDGEWALK_AVX2 RIDGEWALK_INLINE __m256i at(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

RIDGEWALK_AVX2 RIDGEWALK_INLINE __m256i rounded(__m256i sums, const float* factors,
                                                const Block& block) {
  __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_loadu_ps(factors));
  scaled = _mm256_max_ps(scaled, _mm256_set1_ps(block.least));
  scaled = _mm256_min_ps(scaled, _mm256_set1_ps(block.most));
  scaled = _mm256_add_ps(scaled, _mm256_set1_ps(kRounder));
  return _mm256_and_si256(_mm256_castps_si256(scaled), _mm256_set1_epi32(255));
}

// A block of kPixels output pixels: taps[p * 2 * pairs + t] is where tap t of pixel p begins.
template <bool kSigned, int kPixels>
RIDGEWALK_AVX2 RIDGEWALK_INLINE void pixels(const Block& block, const uint8_t* const* taps,
                                            int64_t channel, __m128i (&to)[kPixels]) {
  __m256i low[kPixels], high[kPixels];
#pragma GCC unroll 4
  for (int p = 0; p < kPixels; ++p) {
    low[p] = at(block.bias);
    high[p] = at(block.bias + kHalf);
  }
  const int16_t* weights = block.weights;
  for (int64_t pair = 0; pair < block.pairs; ++pair, weights += 2 * kBlock) {
    const __m256i of_low = at(weights), of_high = at(weights + kBlock);
#pragma GCC unroll 4
    for (int p = 0; p < kPixels; ++p) {
      const uint8_t* const* own = taps + 2 * (p * block.pairs + pair);
      const __m256i first = widened<kSigned>(own[0] + channel);
      const __m256i second = widened<kSigned>(own[1] + channel);
      const __m256i lower = _mm256_unpacklo_epi16(first, second);
      const __m256i upper = _mm256_unpackhi_epi16(first, second);
      low[p] = _mm256_add_epi32(low[p], _mm256_madd_epi16(lower, of_low));
      high[p] = _mm256_add_epi32(high[p], _mm256_madd_epi16(upper, of_high));
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPixels; ++p) {
    const __m256i halves = _mm256_packus_epi32(rounded(low[p], block.factors, block),
                                               rounded(high[p], block.factors + kHalf, block));
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    to[p] = _mm_add_epi8(bytes, _mm_set1_epi8(char(block.zero_point)));
  }
}

// A block of channels of kPixels pixels, which lie one after the other.
template <bool kSigned, int kPixels>
RIDGEWALK_AVX2 void channels_of(const Block& block, const uint8_t* const* taps, int64_t channel,
                                int64_t channels, uint8_t* y) {
  __m128i bytes[kPixels];
  const int64_t count = channels - channel;
  if (count >= kBlock) {
    pixels<kSigned, kPixels>(block, taps, channel, bytes);
    for (int p = 0; p < kPixels; ++p) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y + p * channels + channel), bytes[p]);
    }
    return;
  }
  // Nothing behind the last channel may be read.
  uint8_t copies[kPixels * (PairedDepthwise::kMostTaps + 1)][kBlock];
  const uint8_t* own[kPixels * (PairedDepthwise::kMostTaps + 1)];
  for (int64_t t = 0; t < kPixels * 2 * block.pairs; ++t) {
    std::memset(copies[t], 0, kBlock);
    std::memcpy(copies[t], taps[t] + channel, size_t(count));
    own[t] = copies[t];
  }
  pixels<kSigned, kPixels>(block, own, 0, bytes);
  for (int p = 0; p < kPixels; ++p) {
    std::memcpy(y + p * channels + channel, &bytes[p], size_t(count));
  }
}
#endif

}  // namespace

bool PairedDepthwise::can_run(const ConvolutionShape& shape) {
#ifdef RIDGEWALK_X86
  return cpu_level() >= CpuLevel::kAvx2 && shape.kernel_height * shape.kernel_width <= kMostTaps;
#else
  (void)shape;
  return false;
#endif
}

PairedDepthwise::PairedDepthwise(const ConvolutionShape& shape, const int8_t* weight,
                                 const IntegerForm& input, const SumRounding& rounding)
    : shape_(shape),
      is_signed_(input.is_signed),
      pairs_((shape.kernel_height * shape.kernel_width + 1) / 2),
      least_(rounding.least),
      most_(rounding.most),
      zero_point_(rounding.zero_point),
      zeros_(size_t(shape.channels), uint8_t(input.zero_point)) {
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  for (int64_t block = 0; block < blocks(shape.channels); ++block) {
    const int64_t first = first_channel(block, shape.channels);
    for (int64_t place : kOrder) {
      const auto c = size_t(first + place);
      const bool is_there = c < rounding.bias.size();
      int32_t bias = is_there ? rounding.bias[c] : 0;
      for (int64_t tap = 0; is_there && tap < taps; ++tap) {
        bias -= input.zero_point * weight[int64_t(c) * taps + tap];
      }
      bias_.push_back(bias);
      factors_.push_back(is_there ? rounding.factors[c] : 0);
    }
    for (int64_t pair = 0; pair < pairs_; ++pair) {
      for (int64_t place : kOrder) {
        for (int64_t tap = 2 * pair; tap < 2 * pair + 2; ++tap) {
          const bool is_there = first + place < shape.channels && tap < taps;
          weights_.push_back(is_there ? weight[(first + place) * taps + tap] : int8_t{0});
        }
      }
    }
  }
}

const uint8_t** PairedDepthwise::find_taps(const uint8_t* x, int64_t row, int64_t column,
                                           const uint8_t** to) const {
  const ConvolutionShape& s = shape_;
  const int64_t top = row * s.stride - s.padding, left = column * s.stride - s.padding;
  for (int64_t i = top; i < top + s.kernel_height; ++i) {
    for (int64_t j = left; j < left + s.kernel_width; ++j) {
      const bool is_inside = i >= 0 && i < s.height && j >= 0 && j < s.width;
      *to++ = is_inside ? x + (i * s.width + j) * s.channels : zeros_.data();
    }
  }
  if (s.kernel_height * s.kernel_width % 2 != 0) *to++ = zeros_.data();
  return to;
}

void PairedDepthwise::run(const uint8_t* x, int64_t row, uint8_t* y) const {
#ifdef RIDGEWALK_X86
  const ConvolutionShape& s = shape_;
  const auto of_two = is_signed_ ? channels_of<true, 2> : channels_of<false, 2>;
  const auto of_one = is_signed_ ? channels_of<true, 1> : channels_of<false, 1>;
  for (int64_t column = 0; column < s.out_width; column += 2) {
    const uint8_t* taps[2 * (kMostTaps + 1)];
    const uint8_t** const second = find_taps(x, row, column, taps);
    const bool has_two = column + 1 < s.out_width;
    if (has_two) find_taps(x, row, column + 1, second);
    uint8_t* const to = y + (row * s.out_width + column) * s.channels;
    for (int64_t b = 0; b < blocks(s.channels); ++b) {
      const Block block{.weights = weights_.data() + b * kBlock * 2 * pairs_,
                        .pairs = pairs_,
                        .bias = bias_.data() + b * kBlock,
                        .factors = factors_.data() + b * kBlock,
                        .least = least_,
                        .most = most_,
                        .zero_point = zero_point_};
      (has_two ? of_two : of_one)(block, taps, first_channel(b, s.channels), s.channels, to);
    }
  }
#else
  (void)x, (void)row, (void)y;
#endif
}

}  // namespace ridgewalk
