#include "supernet/formats/safetensors.h"

#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

using Safetensors = FolderTest;

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

TEST_F(Safetensors, KeepsHalfPrecisionAsItIs) {
  const std::string path = (folder_ / "half.safetensors").string();
  const auto values = torch::tensor({1.0f, -2.5f, 65504.0f});
  write_safetensors(path, {.metadata = {},
                           .tensors = {{"half", values.to(torch::kHalf)},
                                       {"brain", values.to(torch::kBFloat16)}}});
  const std::string bytes = read(path);
  EXPECT_NE(bytes.find(R"("dtype":"F16")"), std::string::npos);
  EXPECT_NE(bytes.find(R"("dtype":"BF16")"), std::string::npos);
  const TensorFile file = read_safetensors(path);
  EXPECT_TRUE(torch::equal(file.at("half"), values.to(torch::kHalf)));
  EXPECT_TRUE(torch::equal(file.at("brain"), values.to(torch::kBFloat16)));
}

TEST_F(Safetensors, IsMappedAndOutlivesItsFile) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  torch::Tensor a = read_safetensors(path).at("a");
  fs::remove(path);
  EXPECT_TRUE(torch::equal(a, small_file().at("a")));
}

TEST_F(Safetensors, IsNotChangedByWhoWritesToItsTensors) {
  const std::string path = (folder_ / "w.safetensors").string();
  write_safetensors(path, small_file());
  const std::string bytes = read(path);
  read_safetensors(path).at("a").add_(1);
  EXPECT_EQ(read(path), bytes);
}

// Python's writer pads headers to 8 bytes; others need not.
TEST_F(Safetensors, ReadsDataThatIsNotAligned) {
  std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  header.resize((header.size() + 7) / 8 * 8 + 3, ' ');
  const std::string path = write("odd", std::string(1, char(header.size())) + std::string(7, '\0') +
                                            header + std::string("\0\0\x80?\0\0\0@", 8));
  const TensorFile file = read_safetensors(path);
  EXPECT_EQ(file.at("x")[1].item<float>(), 2);
  EXPECT_EQ(uintptr_t(file.at("x").data_ptr()) % 4, 0u);
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
  refused(R"({"x":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})", 8, "none of F32");
  refused(
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      6, "overlaps");
  refused(
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      8, "'x' twice");
  refused(R"({"x":{"dtype":"F32","shape":[99999999999999,99999999999],"data_offsets":[0,4]}})", 4,
          "larger");
  refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "a gap before");
  refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 5, "continues after");
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

// A folder in the way is noticed only at the end, when the file is renamed.
TEST_F(Safetensors, LeavesNothingBehindWhereItCannotWrite) {
  for (const std::string& path :
       {(folder_ / "no-such-folder" / "w.safetensors").string(), folder_.string(),
        folder_.string() + "/", std::string("/dev/null"), std::string()}) {
    expect_error([&] { write_safetensors(path, small_file()); }, path, "written");
    EXPECT_FALSE(fs::exists(path + ".partial")) << path;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(Safetensors, FollowsALink) {
  const fs::path target = folder_ / "target", link = folder_ / "link";
  std::ofstream(target) << "old";
  fs::create_symlink(target, link);
  write_safetensors(link.string(), small_file());
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(torch::equal(read_safetensors(target.string()).at("a"), small_file().at("a")));
}

}  // namespace
}  // namespace ridgewalk
