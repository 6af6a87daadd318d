#include "supernet/data/image_codec.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <string>

// jpeglib.h needs <cstdio> before it, jerror.h needs jpeglib.h.
#include <jpeglib.h>

#include <jerror.h>
#include <png.h>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr int64_t kMostPixels = 100'000'000;
// Of one byte. JPEG: Huffman codes spend a bit or more on each block of 8 x 8 pixels, of a
// component that may have every 16th. PNG: deflate spends a byte or more on 1032, each of eight
// pixels or fewer.
constexpr int64_t kMostJpegPixels = 8 * 64 * 16, kMostPngPixels = 1032 * 8;
// A progressive file may have any number of scans, each as long to decode as the image.
constexpr int kMostScans = 200;

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }
bool is_png(std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }

// Before memory is taken: `most` is how many pixels the bytes can hold.
void check_size(int64_t height, int64_t width, int64_t most) {
  const std::string size =
      "has " + std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (height < 1 || width < 1 || height > kMostPixels / width) {
    throw Error(size + "; at most 100 million are decoded");
  }
  if (height * width > most) throw Error(size + " by its header, far more than its bytes can hold");
}

// Whether no chunk of a PNG promises to be longer than the file: libpng takes memory for some kinds
// before it reads them.
bool has_whole_chunks(std::string_view bytes) {
  constexpr size_t kSignature = 8, kFrame = 12;  // of a chunk: length, type and checksum
  bytes.remove_prefix(std::min(kSignature, bytes.size()));
  while (bytes.size() >= kFrame) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | uint8_t(bytes[i]);
    if (bytes.substr(4, 4) == "IEND") break;  // what follows is not read
    if (length > bytes.size() - kFrame) return false;
    bytes.remove_prefix(kFrame + length);
  }
  return true;
}

// libjpeg reports an error by a call that must not return: it jumps back to where the step began.
// Nothing between the two has a destructor.
class JpegReader {
 public:
  explicit JpegReader(std::string_view bytes) {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = [](j_common_ptr jpeg) { fail(jpeg); };
    errors_.base.emit_message = warn;
    errors_.base.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMostScans) fail(jpeg);
    };
    run([&] {
      jpeg_create_decompress(&jpeg_);
      jpeg_.progress = &progress_;
      jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&jpeg_, TRUE);
    });
    const bool is_huffman = jpeg_.arith_code == 0;
    check_size(jpeg_.image_height, jpeg_.image_width,
               is_huffman ? int64_t(bytes.size()) * kMostJpegPixels : kMostPixels);
  }

  ImageSize size() const { return {int(jpeg_.image_height), int(jpeg_.image_width)}; }

  Image decode(int eighths) {
    const bool cmyk = jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
    run([&] {
      jpeg_.scale_num = unsigned(eighths);
      jpeg_.scale_denom = 8;
      jpeg_.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
      jpeg_start_decompress(&jpeg_);
    });
    const size_t components = size_t(jpeg_.output_components);
    Image image{int(jpeg_.output_height), int(jpeg_.output_width), 3, {}};
    const size_t line = size_t(image.width) * 3;
    image.pixels.resize(size_t(image.height) * line);
    std::vector<uint8_t> inks(cmyk ? size_t(image.width) * components : 0);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      uint8_t* to = &image.pixels[size_t(jpeg_.output_scanline) * line];
      run([&] {
        JSAMPROW row = cmyk ? inks.data() : to;
        jpeg_read_scanlines(&jpeg_, &row, 1);
      });
      if (cmyk) print(inks, to);
    }
    run([&] { jpeg_finish_decompress(&jpeg_); });
    return image;
  }

 private:
  struct Errors {
    jpeg_error_mgr base;
    std::jmp_buf start;
  };
  // A member, so that it is destroyed when the constructor throws.
  struct Decompress : jpeg_decompress_struct {
    Decompress() : jpeg_decompress_struct() {}
    ~Decompress() { jpeg_destroy_decompress(this); }
    Decompress(const Decompress&) = delete;
    Decompress& operator=(const Decompress&) = delete;
  };

  [[noreturn]] static void fail(j_common_ptr jpeg) {
    std::longjmp(reinterpret_cast<Errors*>(jpeg->err)->start, 1);
  }

  // libjpeg only warns of an image that ends early or is corrupt, and fills it with grey. Other
  // warnings, such as those of extraneous bytes between markers, are harmless.
  static void warn(j_common_ptr jpeg, int level) {
    const int code = jpeg->err->msg_code;
    const bool damaged = code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER ||
                         code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE ||
                         code == JWRN_MUST_RESYNC;
    if (level < 0 && damaged) fail(jpeg);
  }

  // `step` must leave nothing to destroy when a jump leaves it.
  template <class Step>
  void run(Step step) {
    if (setjmp(errors_.start) == 0) {
      step();
      return;
    }
    if (jpeg_.input_scan_number > kMostScans) throw Error("is a JPEG image with too many scans");
    char message[JMSG_LENGTH_MAX];
    errors_.base.format_message(reinterpret_cast<j_common_ptr>(&jpeg_), message);
    throw Error("is a damaged JPEG image (" + std::string(message) + ")");
  }

  // Converts four inks to RGB. Adobe stores them inverted.
  void print(const std::vector<uint8_t>& inks, uint8_t* to) const {
    const int white = jpeg_.saw_Adobe_marker ? 0 : 255;
    for (size_t i = 0; i < inks.size(); i += 4) {
      const int black = std::abs(white - inks[i + 3]);
      for (size_t c = 0; c < 3; ++c) {
        *to++ = uint8_t((std::abs(white - inks[i + c]) * black + 127) / 255);
      }
    }
  }

  Decompress jpeg_;
  Errors errors_ = {};
  jpeg_progress_mgr progress_ = {};
};

// libpng's simple interface, which does not jump.
class PngReader {
 public:
  explicit PngReader(std::string_view bytes) {
    if (!has_whole_chunks(bytes)) throw Error("is a damaged PNG image (it ends within a chunk)");
    png_.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_memory(&png_, bytes.data(), bytes.size()) == 0) fail();
    check_size(png_.height, png_.width, int64_t(bytes.size()) * kMostPngPixels);
  }

  ImageSize size() const { return {int(png_.height), int(png_.width)}; }

  Image decode() {
    png_.format = PNG_FORMAT_RGB;
    png_.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // 16-bit values have the curve of 8-bit ones
    Image image{int(png_.height), int(png_.width), 3, {}};
    image.pixels.resize(PNG_IMAGE_SIZE(png_));
    const png_color white{255, 255, 255};
    if (png_image_finish_read(&png_, &white, image.pixels.data(), 0, nullptr) == 0) fail();
    return image;
  }

 private:
  struct Reading : png_image {
    Reading() : png_image() {}
    ~Reading() { png_image_free(this); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
  };

  [[noreturn]] void fail() const {
    const std::string message = png_.message;
    throw Error("is a damaged PNG image (" + message + ")");
  }

  Reading png_;
};

}  // namespace

bool is_image_start(std::string_view bytes) { return is_jpeg(bytes) || is_png(bytes); }

ImageSize image_size(std::string_view bytes) {
  if (is_jpeg(bytes)) return JpegReader(bytes).size();
  if (is_png(bytes)) return PngReader(bytes).size();
  throw Error("is neither a JPEG nor a PNG image");
}

Image decode_image(std::string_view bytes, int eighths) {
  if (is_jpeg(bytes)) return JpegReader(bytes).decode(eighths);
  if (is_png(bytes)) return PngReader(bytes).decode();
  throw Error("is neither a JPEG nor a PNG image");
}

}  // namespace ridgewalk
