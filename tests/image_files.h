// JPEG and PNG images for tests, as the bytes of a file.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <png.h>

#include "space/random.h"
#include "supernet/data/image.h"

namespace ridgewalk {

// The image whose values are pixel(y, x, c).
inline Image image_of(int height, int width, int channels,
                      const std::function<int(int, int, int)>& pixel) {
  Image image{height, width, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) image.pixels.push_back(uint8_t(pixel(y, x, c)));
    }
  }
  return image;
}

inline Image noise_image(int height, int width, int channels) {
  Random random(1);
  return image_of(height, width, channels, [&](int, int, int) { return int(random.below(256)); });
}

// Grey, RGB or, with four channels, CMYK with Adobe's inverted inks.
inline std::string jpeg_of(const Image& image, bool progressive = false) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_height = unsigned(image.height);
  jpeg.image_width = unsigned(image.width);
  jpeg.input_components = image.channels;
  jpeg.in_color_space =
      image.channels == 1 ? JCS_GRAYSCALE : (image.channels == 3 ? JCS_RGB : JCS_CMYK);
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<uint8_t*>(
        &image.pixels[size_t(jpeg.next_scanline) * size_t(image.width * image.channels)]);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string text(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return text;
}

// `rows` hold the pixels as PNG stores them; of 16 bits, the high byte comes first. `type` is a
// PNG_COLOR_TYPE_*.
inline std::string png_of(int height, int width, int bits, int type, const std::string& rows,
                          const std::vector<png_color>& palette = {}) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string text;
  png_set_write_fn(
      png, &text,
      [](png_structp to, png_bytep bytes, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(to))->append(reinterpret_cast<char*>(bytes), size);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, unsigned(width), unsigned(height), bits, type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), int(palette.size()));
  png_write_info(png, info);
  for (int y = 0; y < height; ++y) {
    const size_t line = rows.size() / size_t(height);
    png_write_row(png, reinterpret_cast<png_const_bytep>(&rows[size_t(y) * line]));
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return text;
}

inline std::string png_of(const Image& image) {
  const int type = image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
  return png_of(image.height, image.width, 8, type, {image.pixels.begin(), image.pixels.end()});
}

}  // namespace ridgewalk
