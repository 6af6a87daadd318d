#include "supernet/data/image.h"

#include <algorithm>
#include <cmath>

namespace ridgewalk {
namespace {

// The weights of input pixels along one axis for one output pixel.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

// For `outputs` pixels along an axis of `size` input pixels, of which `length` from `start` are
// shown.
std::vector<Taps> taps(int size, double start, double length, int outputs) {
  const double scale = length / outputs;
  const double support = std::max(1.0, scale);
  std::vector<Taps> list(static_cast<size_t>(outputs));
  for (int o = 0; o < outputs; ++o) {
    const double centre = start + (o + 0.5) * scale;
    const int first = std::clamp(int(std::floor(centre - support + 0.5)), 0, size - 1);
    const int last = std::clamp(int(std::floor(centre + support + 0.5)), first + 1, size);
    Taps& taps = list[size_t(o)];
    taps.first = first;
    double sum = 0;
    for (int i = first; i < last; ++i) {
      const double weight = std::max(0.0, 1 - std::abs(i + 0.5 - centre) / support);
      taps.weights.push_back(float(weight));
      sum += weight;
    }
    if (sum <= 0) {  // beyond the last pixel: it is repeated
      taps.weights.assign(1, 1.0f);
      taps.first = centre < size / 2.0 ? first : last - 1;
      continue;
    }
    for (float& weight : taps.weights) weight /= float(sum);
  }
  return list;
}

template <int kChannels>
void resize_row(const uint8_t* row, const std::vector<Taps>& columns, float* to) {
  for (const Taps& column : columns) {
    float sum[kChannels] = {};
    const uint8_t* from = row + size_t(column.first) * kChannels;
    for (const float weight : column.weights) {
      for (int c = 0; c < kChannels; ++c) sum[c] += weight * float(*from++);
    }
    for (int c = 0; c < kChannels; ++c) *to++ = sum[c];
  }
}

void add_scaled(const float* from, float weight, size_t count, float* __restrict sum) {
  for (size_t i = 0; i < count; ++i) sum[i] += weight * from[i];
}

}  // namespace

Image resize(const Image& image, const Box& box, int side) {
  const std::vector<Taps> rows =
      taps(image.height, box.top * image.height, box.height * image.height, side);
  const std::vector<Taps> columns =
      taps(image.width, box.left * image.width, box.width * image.width, side);
  int first = image.height;
  int last = 0;
  for (const Taps& row : rows) {
    first = std::min(first, row.first);
    last = std::max(last, row.first + int(row.weights.size()));
  }
  const size_t line = size_t(side) * size_t(image.channels);
  std::vector<float> narrowed(size_t(last - first) * line);
  for (int y = first; y < last; ++y) {
    const uint8_t* from = &image.pixels[size_t(y) * size_t(image.width) * size_t(image.channels)];
    float* to = &narrowed[size_t(y - first) * line];
    image.channels == 3 ? resize_row<3>(from, columns, to) : resize_row<1>(from, columns, to);
  }
  Image result{side, side, image.channels, std::vector<uint8_t>(size_t(side) * line)};
  std::vector<float> sum(line);
  for (int y = 0; y < side; ++y) {
    std::fill(sum.begin(), sum.end(), 0.5f);  // rounds
    const Taps& row = rows[size_t(y)];
    const float* from = &narrowed[size_t(row.first - first) * line];
    for (const float weight : row.weights) {
      add_scaled(from, weight, line, sum.data());
      from += line;
    }
    uint8_t* to = &result.pixels[size_t(y) * line];
    for (size_t i = 0; i < line; ++i) to[i] = uint8_t(std::clamp(sum[i], 0.0f, 255.0f));
  }
  return result;
}

Image grey(const Image& rgb) {
  Image image{rgb.height, rgb.width, 1, {}};
  for (size_t i = 0; i < rgb.pixels.size(); i += 3) {
    const double luma =
        0.299 * rgb.pixels[i] + 0.587 * rgb.pixels[i + 1] + 0.114 * rgb.pixels[i + 2];
    image.pixels.push_back(uint8_t(luma + 0.5));
  }
  return image;
}

Box centre_box(int height, int width, double fraction) {
  const double side = fraction * std::min(height, width);
  const Box box{.height = side / height, .width = side / width};
  return {(1 - box.height) / 2, (1 - box.width) / 2, box.height, box.width};
}

}  // namespace ridgewalk
