// Images of bytes, and cutting a square of a wanted size out of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ridgewalk {

struct Image {
  int height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;  // [height, width, channels]

  uint8_t& at(int y, int x, int c) { return pixels[index(y, x, c)]; }
  uint8_t at(int y, int x, int c) const { return pixels[index(y, x, c)]; }
  bool operator==(const Image&) const = default;

 private:
  size_t index(int y, int x, int c) const {
    return (size_t(y) * size_t(width) + size_t(x)) * size_t(channels) + size_t(c);
  }
};

// A part of an image in fractions of its height and width: 0 <= top, top + height <= 1.
struct Box {
  double top = 0, left = 0, height = 1, width = 1;
};

// The box resized to side x side: bilinear; where it shrinks, over all pixels under an output pixel
// (a triangle filter as wide as the scale, as in PIL).
Image resize(const Image& image, const Box& box, int side);

// One channel of luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, as PIL's "L").
Image grey(const Image& rgb);

// The centred square whose side is `fraction` of the shorter side.
Box centre_box(int height, int width, double fraction);

}  // namespace ridgewalk
