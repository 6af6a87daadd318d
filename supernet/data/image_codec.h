// JPEG and PNG images in memory to RGB pixels.
#pragma once

#include <string_view>

#include "supernet/data/image.h"

namespace ridgewalk {

struct ImageSize {
  int height = 0, width = 0;
};

// Whether a file that begins so claims to be one of the two.
bool is_image_start(std::string_view bytes);

// Both tell JPEG from PNG by the first bytes. Both throw Error, without a file's name, when the
// bytes are neither, are damaged or end too early, or promise more than 100 million pixels.

// From the header alone.
ImageSize image_size(std::string_view bytes);

// Three channels whatever the file has: grey and palettes are spread, CMYK and 16 bits converted,
// what is transparent set on white. A JPEG may come smaller, `eighths`/8 of its size in each
// direction and rounded up (1 to 8), which takes less time; a PNG comes as it is.
Image decode_image(std::string_view bytes, int eighths = 8);

}  // namespace ridgewalk
