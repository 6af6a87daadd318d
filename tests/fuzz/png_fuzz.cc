// Pixels of PNG images.
#include "supernet/data/image_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  refuse_or_accept([&] {
    const ImageSize whole = image_size(bytes);
    const Image image = decode_image(bytes);
    require(image.height == whole.height && image.width == whole.width,
            "the image has the promised size");
    require(image.pixels.size() == size_t(image.height) * size_t(image.width) * 3,
            "the image has all its pixels");
  });
  return 0;
}
