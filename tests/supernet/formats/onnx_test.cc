#include "supernet/formats/onnx.h"

#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "space/error.h"
#include "supernet/formats/weights.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

using Onnx = SmallHybrid;

TEST_F(Onnx, ComesBackAsTheSameNetworkFoldedOrNot) {
  const auto expected = logits(graph_, store_);
  write_onnx(path("kept.onnx"), graph_, store_);
  const Network folded = fold_norms(graph_, store_);
  write_onnx(path("folded.onnx"), folded.graph, folded.parameters);
  for (const char* name : {"kept.onnx", "folded.onnx"}) {
    Network network = load_network(path(name), graph_, torch::kCPU);
    EXPECT_TRUE(torch::allclose(logits(network.graph, network.parameters), expected, 1e-5, 1e-6));
  }
  Architecture other = small_hybrid();
  other.head.features = 32;
  expect_error([&] { load_network(path("kept.onnx"), lower(other), torch::kCPU); },
               path("kept.onnx"), "conv_head.weight");
}

TEST_F(Onnx, SurvivesTruncationAndCorruption) {
  write_onnx(path("good.onnx"), graph_, store_);
  const std::string good = read(path("good.onnx"));
  const auto attempt = [&](const std::string& bytes) {
    const std::string bad = write("bad.onnx", bytes);
    try {
      load_network(bad, graph_, torch::kCPU);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find(bad), 0u) << error.what();
    }
  };
  for (size_t length = 0; length < good.size(); length += 97) {
    const std::string cut = write("cut.onnx", good.substr(0, length));
    EXPECT_THROW(load_network(cut, graph_, torch::kCPU), Error) << length;
  }
  std::mt19937_64 random(2);
  for (int i = 0; i < 1500; ++i) {
    std::string bytes = good;
    for (uint64_t n = random() % 3 + 1; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    attempt(bytes);
  }
  expect_error([&] { read_onnx(write("text.onnx", "not a model")); }, "text.onnx", "not an ONNX");
}

// ModelProto{graph: {initializer: {dims: 0, data_type: FLOAT, name: "b", raw_data: ""}}}, by hand.
TEST_F(Onnx, ReadsATensorWithoutElements) {
  const std::string bytes(
      "\x3A\x0B\x2A\x09\x08\x00\x10\x01\x42\x01"
      "b\x4A\x00",
      13);
  EXPECT_EQ(read_onnx(write("empty.onnx", bytes)).at("b").sizes(), torch::IntArrayRef{0});
}

TEST_F(Onnx, LeavesNothingBehindWhereItCannotWrite) {
  for (const std::string& target :
       {(folder_ / "no-such-folder" / "a.onnx").string(), folder_.string()}) {
    expect_error([&] { write_onnx(target, graph_, store_); }, target, "written");
    EXPECT_FALSE(fs::exists(target + ".partial")) << target;
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace ridgewalk
