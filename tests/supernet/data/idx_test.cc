#include "supernet/data/idx.h"

#include <zlib.h>

#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

class Idx : public FolderTest {
 protected:
  std::string write_gzip(const std::string& name, const std::string& bytes) {
    const std::string file_path = path(name);
    gzFile file = gzopen(file_path.c_str(), "wb");
    gzwrite(file, bytes.data(), unsigned(bytes.size()));
    gzclose(file);
    return file_path;
  }
};

// Two images of 2 x 3.
const std::string kImages(
    "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03"
    "abcdefghijkl",
    28);

TEST_F(Idx, ReadsPlainAndGzippedFiles) {
  for (const std::string& path : {write("a", kImages), write_gzip("b.gz", kImages)}) {
    const IdxArray array = read_idx(path, 3);
    EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 2, 3}));
    EXPECT_EQ(std::string(array.bytes.begin(), array.bytes.end()), "abcdefghijkl");
  }
}

TEST_F(Idx, RefusesEveryTruncation) {
  const std::string zipped = read(write_gzip("full.gz", kImages));
  for (size_t length = 0; length < kImages.size(); ++length) {
    EXPECT_THROW(read_idx(write("cut", kImages.substr(0, length)), 3), Error) << length;
  }
  for (size_t length = 0; length < zipped.size(); ++length) {
    EXPECT_THROW(read_idx(write("cut.gz", zipped.substr(0, length)), 3), Error) << length;
  }
}

TEST_F(Idx, SaysWhatIsWrong) {
  const std::string missing = (folder_ / "none").string();
  expect_error([&] { read_idx(missing, 3); }, missing, "cannot be read");
  const std::string png = write("png", "\x89PNG....................");
  expect_error([&] { read_idx(png, 3); }, png, "not an IDX file");
  const std::string labels = write("labels", kImages);
  expect_error([&] { read_idx(labels, 1); }, labels, "expected 1");
  const std::string longer = write("longer", kImages + "x");
  expect_error([&] { read_idx(longer, 3); }, longer, "has bytes after its last image");
  // A header that claims 2^96 bytes must not be believed.
  const std::string huge = write(
      "huge", std::string("\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  expect_error([&] { read_idx(huge, 3); }, huge,
               "has a dimension of 4294967295, which is impossible");
}

TEST_F(Idx, SurvivesCorruption) {
  const std::string zipped = read(write_gzip("full.gz", kImages));
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = i % 2 ? zipped : kImages;
    bytes[random() % bytes.size()] = char(random());
    const std::string path = write("bad", bytes);
    try {
      read_idx(path, 3);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace ridgewalk
