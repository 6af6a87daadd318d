// Pixels of JPEG images. The input's last byte is the scale that is asked for.
#include "supernet/data/image_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const int eighths = size > 0 ? 1 + data[size - 1] % 8 : 8;
  refuse_or_accept([&] {
    const ImageSize whole = image_size(bytes);
    const Image image = decode_image(bytes, eighths);
    require(image.height == (whole.height * eighths + 7) / 8, "the image has the promised height");
    require(image.width == (whole.width * eighths + 7) / 8, "the image has the promised width");
    require(image.pixels.size() == size_t(image.height) * size_t(image.width) * 3,
            "the image has all its pixels");
  });
  return 0;
}
