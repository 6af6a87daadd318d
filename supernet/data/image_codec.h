// JPEG and PNG images in memory to RGB pixels.
#pragma once

#include <string_view>

#include "supernet/data/image.h"

namespace ridgewalk {

struct ImageSize {
  int height = 0, width = 0;
};

// Whether a file with this beginning claims to be a JPEG or a PNG.
bool is_image_start(std::string_view bytes);

// Both functions tell JPEG from PNG by the first bytes. They throw Error, without a file's name,
// when the bytes are neither, are damaged or end too early, or promise more than 100 million
// pixels.

// From the header alone.
ImageSize image_size(std::string_view bytes);

// Always three channels: grey and palettes are expanded, CMYK and 16 bits converted, transparent
// pixels composed on white. A JPEG can be decoded at `eighths`/8 of its size in each direction,
// rounded up (1 to 8), which is faster; a PNG has its full size.
Image decode_image(std::string_view bytes, int eighths = 8);

}  // namespace ridgewalk
