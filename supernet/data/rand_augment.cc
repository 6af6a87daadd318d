#include "supernet/data/rand_augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "space/random.h"

namespace ridgewalk {
namespace {

constexpr float kGrey = 128;

using Table = std::array<uint8_t, 256>;

uint8_t to_byte(double value) { return uint8_t(std::clamp(value, 0.0, 255.0)); }

// table_of(channel's histogram) replaces the values of each channel.
template <class TableOf>
void map_channels(Image& image, TableOf table_of) {
  const size_t channels = size_t(image.channels);
  for (size_t c = 0; c < channels; ++c) {
    std::array<int64_t, 256> histogram{};
    for (size_t i = c; i < image.pixels.size(); i += channels) ++histogram[image.pixels[i]];
    const Table table = table_of(histogram);
    for (size_t i = c; i < image.pixels.size(); i += channels) {
      image.pixels[i] = table[image.pixels[i]];
    }
  }
}

template <class Value>
void map_values(Image& image, Value value) {
  Table table;
  for (int v = 0; v < 256; ++v) table[size_t(v)] = uint8_t(value(v));
  for (uint8_t& pixel : image.pixels) pixel = table[pixel];
}

Table identity() {
  Table table;
  std::iota(table.begin(), table.end(), uint8_t{0});
  return table;
}

Table stretched(const std::array<int64_t, 256>& histogram) {
  int low = 0;
  int high = 255;
  while (low < 255 && histogram[size_t(low)] == 0) ++low;
  while (high > 0 && histogram[size_t(high)] == 0) --high;
  if (high <= low) return identity();
  Table table;
  const double scale = 255.0 / (high - low);
  for (int v = 0; v < 256; ++v) table[size_t(v)] = to_byte(v * scale - low * scale);
  return table;
}

Table equalized(const std::array<int64_t, 256>& histogram) {
  int64_t last = 0;
  int64_t count = 0;
  for (const int64_t bin : histogram) {
    if (bin > 0) last = bin;
    count += bin;
  }
  const int64_t step = (count - last) / 255;
  if (step == 0) return identity();
  Table table;
  int64_t sum = step / 2;
  for (size_t v = 0; v < 256; ++v) {
    table[v] = uint8_t(std::min<int64_t>(255, sum / step));
    sum += histogram[v];
  }
  return table;
}

// ITU-R 601, as PIL converts to grey.
int luminance(const uint8_t* pixel, int channels) {
  if (channels < 3) return pixel[0];
  return (299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000;
}

uint8_t blend(double other, uint8_t value, double amount) {
  return to_byte(other + amount * (value - other) + 0.5);
}

void color(double amount, Image& image) {
  if (image.channels < 3) return;
  for (size_t i = 0; i < image.pixels.size(); i += size_t(image.channels)) {
    const int grey = luminance(&image.pixels[i], image.channels);
    for (size_t c = 0; c < 3; ++c) image.pixels[i + c] = blend(grey, image.pixels[i + c], amount);
  }
}

void contrast(double amount, Image& image) {
  int64_t sum = 0;
  for (size_t i = 0; i < image.pixels.size(); i += size_t(image.channels)) {
    sum += luminance(&image.pixels[i], image.channels);
  }
  const double grey = std::floor(double(sum) / (double(image.height) * image.width) + 0.5);
  map_values(image, [&](int v) { return blend(grey, uint8_t(v), amount); });
}

// Against the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13; its rim stays.
void sharpness(double amount, Image& image) {
  const Image from = image;
  const int step = image.channels;
  const int line = image.width * step;
  for (int y = 1; y < image.height - 1; ++y) {
    for (int i = y * line + step; i < (y + 1) * line - step; ++i) {
      const uint8_t* p = &from.pixels[size_t(i)];
      const int sum = p[-line - step] + p[-line] + p[-line + step] + p[-step] + 5 * p[0] + p[step] +
                      p[line - step] + p[line] + p[line + step];
      image.pixels[size_t(i)] = blend((2 * sum + 13) / 26, p[0], amount);
    }
  }
}

// The pixel at (x, y) comes from (xx x + xy y + x0, yx x + yy y + y0), bilinear. Whole numbers are
// centres of pixels.
struct Affine {
  double xx = 1, xy = 0, x0 = 0, yx = 0, yy = 1, y0 = 0;
};

// std::floor and std::round are calls where the processor is not known to have them.
int floor_of(double v) {
  const int whole = int(v);
  return whole - (v < whole);
}

// Keeps a rounding error from blending a pixel with its neighbour or with the outside.
double snapped(double v) {
  const int nearest = floor_of(v + 0.5);
  return std::abs(v - nearest) < 1e-6 ? nearest : v;
}

void warp(const Affine& t, Image& image) {
  const Image from = image;
  const int channels = image.channels;
  const int line = image.width * channels;
  uint8_t* to = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const double sx = snapped(t.xx * x + t.xy * y + t.x0);
      const double sy = snapped(t.yx * x + t.yy * y + t.y0);
      const int left = floor_of(sx);
      const int top = floor_of(sy);
      const float right_share = float(sx - left);
      const float lower_share = float(sy - top);
      const float shares[2][2] = {
          {(1 - lower_share) * (1 - right_share), (1 - lower_share) * right_share},
          {lower_share * (1 - right_share), lower_share * right_share}};
      if (top >= 0 && top + 1 < from.height && left >= 0 && left + 1 < from.width) {
        const uint8_t* pixel = &from.pixels[size_t(top * line + left * channels)];
        for (int c = 0; c < channels; ++c, ++pixel) {
          *to++ = uint8_t(shares[0][0] * float(pixel[0]) + shares[0][1] * float(pixel[channels]) +
                          shares[1][0] * float(pixel[line]) +
                          shares[1][1] * float(pixel[line + channels]) + 0.5f);
        }
        continue;
      }
      for (int c = 0; c < channels; ++c) {
        float sum = 0;
        for (int dy = 0; dy < 2; ++dy) {
          for (int dx = 0; dx < 2; ++dx) {
            const int row = top + dy;
            const int column = left + dx;
            const bool inside = row >= 0 && row < from.height && column >= 0 && column < from.width;
            sum += shares[dy][dx] * (inside ? float(from.at(row, column, c)) : kGrey);
          }
        }
        *to++ = uint8_t(sum + 0.5f);
      }
    }
  }
}

// About the middle of the image.
void rotate(double degrees, Image& image) {
  const double angle = degrees * std::numbers::pi / 180;
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  const double x = (image.width - 1) / 2.0;
  const double y = (image.height - 1) / 2.0;
  warp({cosine, -sine, x - cosine * x + sine * y, sine, cosine, y - sine * x - cosine * y}, image);
}

void cutout(double half, uint64_t seed, Image& image) {
  Random random(seed);
  const int reach = int(half * std::max(image.height, image.width));
  const int y = int(random.below(image.height));
  const int x = int(random.below(image.width));
  for (int row = std::max(0, y - reach); row < std::min(image.height, y + reach); ++row) {
    for (int column = std::max(0, x - reach); column < std::min(image.width, x + reach); ++column) {
      for (int c = 0; c < image.channels; ++c) image.at(row, column, c) = uint8_t(kGrey);
    }
  }
}

}  // namespace

void apply(ImageOp op, double amount, uint64_t seed, Image& image) {
  switch (op) {
    case ImageOp::kAutoContrast:
      return map_channels(image, stretched);
    case ImageOp::kEqualize:
      return map_channels(image, equalized);
    case ImageOp::kInvert:
      return map_values(image, [](int v) { return 255 - v; });
    case ImageOp::kRotate:
      return rotate(amount, image);
    case ImageOp::kPosterize: {
      const int dropped = 8 - std::clamp(int(amount), 0, 8);
      return map_values(image, [&](int v) { return v >> dropped << dropped; });
    }
    case ImageOp::kSolarize:
      return map_values(image, [&](int v) { return v < amount ? v : 255 - v; });
    case ImageOp::kSolarizeAdd:
      return map_values(image, [&](int v) { return v < 128 ? to_byte(v + amount) : v; });
    case ImageOp::kColor:
      return color(amount, image);
    case ImageOp::kContrast:
      return contrast(amount, image);
    case ImageOp::kBrightness:
      return map_values(image, [&](int v) { return blend(0, uint8_t(v), amount); });
    case ImageOp::kSharpness:
      return sharpness(amount, image);
    case ImageOp::kShearX:
      return warp({.xy = amount}, image);
    case ImageOp::kShearY:
      return warp({.yx = amount}, image);
    case ImageOp::kTranslateX:
      return warp({.x0 = std::round(amount * image.width)}, image);
    case ImageOp::kTranslateY:
      return warp({.y0 = std::round(amount * image.height)}, image);
    case ImageOp::kCutout:
      return cutout(amount, seed, image);
  }
}

double amount_of(ImageOp op, double magnitude, uint64_t seed) {
  const double level = magnitude / 10;
  const double sign = Random(seed).chance(0.5) ? 1 : -1;
  switch (op) {
    case ImageOp::kAutoContrast:
    case ImageOp::kEqualize:
    case ImageOp::kInvert:
      return 0;
    case ImageOp::kRotate:
      return sign * level * 30;
    case ImageOp::kPosterize:
      return std::floor(level * 4);
    case ImageOp::kSolarize:
      return std::floor(level * 256);
    case ImageOp::kSolarizeAdd:
      return std::floor(level * 110);
    case ImageOp::kColor:
    case ImageOp::kContrast:
    case ImageOp::kBrightness:
    case ImageOp::kSharpness:
      return level * 1.8 + 0.1;
    case ImageOp::kShearX:
    case ImageOp::kShearY:
      return sign * level * 0.3;
    case ImageOp::kTranslateX:
    case ImageOp::kTranslateY:
      return sign * level * 100 / 224;
    case ImageOp::kCutout:
      return level * 40 / 224;
  }
  return 0;
}

void rand_augment(const RandAugment& options, uint64_t seed, Image& image) {
  std::vector<ImageOp> ops;
  for (ImageOp op : kValues<ImageOp>) {
    const auto& excluded = options.exclude;
    if (std::find(excluded.begin(), excluded.end(), op) == excluded.end()) {
      ops.push_back(op);
    }
  }
  Random random(seed);
  for (int layer = 0; layer < options.layers; ++layer) {
    const bool applied = random.chance(options.probability);
    const size_t drawn = size_t(random.below(int64_t(ops.size()) + 1));  // the last: identity
    const uint64_t sign = random.bits();
    const uint64_t place = random.bits();
    if (!applied || drawn == ops.size()) continue;
    const ImageOp op = ops[drawn];
    apply(op, amount_of(op, options.magnitude, sign), place, image);
  }
}

}  // namespace ridgewalk
