// IDX and safetensors: what is read back, and what is refused.
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "supernet/idx.h"
#include "supernet/safetensors.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("ridgewalk-files-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }
  std::string write_gzip(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, bytes.data(), unsigned(bytes.size()));
    gzclose(file);
    return path;
  }
  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  static void expect_error(auto run, const std::string& path, const std::string& says) {
    try {
      run();
      ADD_FAILURE() << "accepted; expected an error that says: " << says;
    } catch (const Error& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find(path), std::string::npos) << what;
      EXPECT_NE(what.find(says), std::string::npos) << what;
    }
  }

  fs::path folder_;
};

using Idx = Files;
using Safetensors = Files;

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
  expect_error([&] { read_idx(longer, 3); }, longer, "goes on");
  // A header that promises 2^96 bytes must not be believed.
  const std::string huge = write(
      "huge", std::string("\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  expect_error([&] { read_idx(huge, 3); }, huge, "cannot be");
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

TensorFile small_file() {
  return {.metadata = {{"format", "pt"}},
          .tensors = {{"a", torch::arange(6).to(torch::kFloat).view({2, 3})},
                      {"count", torch::tensor(int64_t{7}, torch::kLong)},
                      {"empty", torch::empty({0, 4})}}};
}

TEST_F(Safetensors, SurvivesARoundTrip) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_TRUE(torch::equal(file.at("a"), small_file().at("a")));
  EXPECT_EQ(file.at("count").item<int64_t>(), 7);
  EXPECT_EQ(file.at("empty").sizes().vec(), (std::vector<int64_t>{0, 4}));
}

// The layout that Python's safetensors writes: 8 bytes of length, header, data.
TEST_F(Safetensors, ReadsWhatTheFormatPrescribes) {
  const std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string path = write("py", std::string(1, char(header.size())) + std::string(7, '\0') +
                                           header + std::string("\0\0\x80?\0\0\0@", 8));
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.at("x")[0].item<float>(), 1);
  EXPECT_EQ(file.at("x")[1].item<float>(), 2);
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const std::string bytes = read(path);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THROW(read_safetensors(write("cut", bytes.substr(0, length))), Error) << length;
  }
}

TEST_F(Safetensors, SaysWhatIsWrong) {
  const auto file = [&](const std::string& header, size_t data) {
    return write("bad", std::string(1, char(header.size())) + std::string(7, '\0') + header +
                            std::string(data, 'x'));
  };
  const auto refused = [&](const std::string& header, size_t data, const std::string& says) {
    const std::string path = file(header, data);
    expect_error([&] { read_safetensors(path); }, path, says);
  };
  refused(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "'x' does not fill");
  refused(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "cut off");
  refused(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8, "neither F32");
  refused(
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      6, "overlaps");
  refused(
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      8, "'x' twice");
  refused(R"({"x":{"dtype":"F32","shape":[99999999999999,99999999999],"data_offsets":[0,4]}})", 4,
          "larger");
  refused("[1,2]", 0, "not a safetensors file");
  refused("{{{{", 0, "damaged");
}

TEST_F(Safetensors, SurvivesCorruption) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const std::string good = read(path);
  std::mt19937_64 random(1);
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = good;
    for (uint64_t n = random() % 3 + 1; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    const std::string bad = write("bad", bytes);
    try {
      read_safetensors(bad);
    } catch (const Error&) {
    }
  }
}

TEST_F(Safetensors, LeavesNothingBehindWhereItCannotWrite) {
  const std::string path = (folder_ / "no-such-folder" / "w.safetensors").string();
  expect_error([&] { write_safetensors(path, small_file()); }, path, "cannot be written");
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace ridgewalk
