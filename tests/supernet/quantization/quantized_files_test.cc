#include "supernet/quantization/quantized_files.h"

#include <random>

#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/error.h"
#include "supernet/formats/safetensors.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

void expect_same(const QuantizedNetwork& given, const QuantizedNetwork& expected) {
  EXPECT_EQ(given.quantized.values, expected.quantized.values);
  EXPECT_EQ(given.quantized.weights, expected.quantized.weights);
  EXPECT_EQ(given.provenance, expected.provenance);
  ASSERT_EQ(given.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    EXPECT_EQ(given.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(given.tensors.at(name).equal(tensor)) << name;
  }
}

class QuantizedFiles : public SmallHybrid {
 protected:
  QuantizedNetwork quantized(const RewriteOptions& options = {}) {
    Network folded = fold_norms(graph_, store_);
    const torch::Tensor images = uniform(1, {8, 1, 16, 16});
    return quantize(folded, ranges_of(folded, images), options);
  }
};

TEST_F(QuantizedFiles, ComeBackToTheSameBits) {
  const std::vector<RewriteOptions> variants = {{},
                                                {.per_channel = false},
                                                {.zero_points = ZeroPoints::kAll},
                                                {.rounds_values = false},
                                                {.fp32_ops = {"conv_stem", "classifier"}}};
  for (const RewriteOptions& options : variants) {
    QuantizedNetwork network = quantized(options);
    network.provenance =
        Provenance{.data = "noise", .mean = {0.25}, .deviation = {0.5}, .resolution = 16};
    if (network.quantized.values[0])
      network.quantized.values[0]->rule = "quotes \", colons: and # stay";
    save_quantized(path("int8"), small_hybrid(), network);
    EXPECT_TRUE(is_quantized(path("int8")));
    expect_same(load_quantized(path("int8")), network);
    EXPECT_EQ(load_architecture(path("int8/architecture.yaml")), small_hybrid());
  }
}

// The towers of all levels share convolutions, at scales of their own.
TEST_F(QuantizedFiles, HoldDetectors) {
  Architecture architecture = find_architecture("mnv4-conv-small-retinanet");
  architecture.resolution = 128;
  Network folded = fresh_network(lower(architecture));
  const auto network = quantize(folded, ranges_of(folded, uniform(1, {1, 3, 128, 128})), {});
  save_quantized(path("int8"), architecture, network);
  expect_same(load_quantized(path("int8")), network);
}

// 0.1f is 13421773 * 2^-27, and is written with as many digits as its double needs.
TEST_F(QuantizedFiles, WriteScalesExactly) {
  QuantizedNetwork network = quantized();
  network.quantized.values[0]->scale = 0.1f;
  save_quantized(path("int8"), small_hybrid(), network);
  EXPECT_NE(read(path("int8/quantized.yaml")).find("scale: 0.10000000149011612,"),
            std::string::npos);
  EXPECT_EQ(load_quantized(path("int8")).quantized.values[0]->scale, 0.1f);
}

TEST_F(QuantizedFiles, TakeAQuarterOfTheBytes) {
  const Architecture architecture = find_architecture("mnv4-conv-small");
  const Graph graph = lower(architecture);
  Network folded = fresh_network(graph);
  save_quantized(path("int8"), architecture,
                 quantize(folded, ranges_of(folded, uniform(1, {1, 3, 224, 224})), {}));
  save_weights(path("fp32"), folded.parameters);
  const double ratio = double(std::filesystem::file_size(path("int8/model.safetensors"))) /
                       double(std::filesystem::file_size(path("fp32")));
  EXPECT_GT(ratio, 0.25);
  EXPECT_LT(ratio, 0.27);  // biases, scales, names
}

TEST_F(QuantizedFiles, SayWhatIsWrong) {
  const std::string folder = path("int8"), file = folder + "/quantized.yaml";
  expect_error([&] { load_quantized(folder); }, folder, "does not exist");
  expect_error([&] { load_quantized(path("")); }, path(""), "holds no quantized.yaml");
  save_quantized(folder, small_hybrid(), quantized());
  const std::string good = read(file);
  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::string& says) {
    write("int8/quantized.yaml", replaced(good, from, to));
    expect_error([&] { load_quantized(folder); }, file + ":", says);
  };
  refused("- name: conv_stem", "- name: conv_stern", "'conv_stern' is no op");
  refused("- name: act1", "- name: conv_stem", "'conv_stem' is no op");  // a second time
  refused("type: u8", "type: u4", "u4");
  refused("weight: {type: s8", "weight: {type: u8", "must be s8");
  refused("scale: ", "scale: -", "'scale' is -");
  refused("zero_point: ", "zero_point: 90", "s8 holds -128 to 127");
  refused("axis: 0", "axis: 1", "'axis' is 1");
  refused("rule:", "role:", "missing key 'rule'");
  write("int8/quantized.yaml", good);
  load_quantized(folder);
}

TEST_F(QuantizedFiles, HoldTensorsOfTheirNetworkAlone) {
  const std::string folder = path("int8"), file = folder + "/model.safetensors";
  const QuantizedNetwork network = quantized();
  save_quantized(folder, small_hybrid(), network);
  const TensorFile good = read_safetensors(file);
  const auto refused = [&](auto change, const std::string& says) {
    TensorFile bad = good;
    change(bad);
    write_safetensors(file, bad);
    expect_error([&] { load_quantized(folder); }, file, says);
  };
  const auto tensor = [](TensorFile& bad, const std::string& name) -> torch::Tensor& {
    for (auto& [own, value] : bad.tensors) {
      if (own == name) return value;
    }
    throw std::out_of_range(name);
  };
  refused([](TensorFile& bad) { bad.tensors.pop_back(); }, "is missing");
  refused([](TensorFile& bad) { bad.tensors.emplace_back("more", torch::zeros(1)); },
          "'more' is not of this network");
  refused([&](TensorFile& bad) { tensor(bad, "conv_stem.weight") = torch::zeros({8, 1, 3, 3}); },
          "is Float [8, 1, 3, 3], expected Char [8, 1, 3, 3]");
  refused([&](TensorFile& bad) { tensor(bad, "conv_stem.bias") = torch::zeros(8); },
          "expected Int [8]");
  refused([&](TensorFile& bad) { tensor(bad, "conv_stem.weight_scale") = torch::zeros(8); },
          "not positive");
  refused([&](TensorFile& bad) { tensor(bad, "conv_stem.weight_scale") = torch::full(8, NAN); },
          "NaN");
  write_safetensors(file, good);
  write("int8/quantized.yaml", replaced(read(folder + "/quantized.yaml"), "axis: 0, ", ""));
  expect_error([&] { load_quantized(folder); }, "is Float [8], expected Float [1]");
  save_quantized(folder, small_hybrid(), network);
  require_quantized(folder, small_hybrid());
  expect_error([&] { require_quantized(folder, find_architecture("mnv4-conv-small")); }, folder,
               "quantised at 16 pixels of 1 channel for 5 classes");
}

// Each of the three files, cut off and with wrong bytes: an Error or a network, nothing else.
TEST_F(QuantizedFiles, SurviveTruncationAndCorruption) {
  const std::string folder = path("int8");
  save_quantized(folder, small_hybrid(), quantized());
  std::mt19937_64 random(1);
  for (const std::string name : {"architecture.yaml", "quantized.yaml", "model.safetensors"}) {
    const std::string good = read(folder + "/" + name);
    const auto attempt = [&](const std::string& bytes) {
      write("int8/" + name, bytes);
      try {
        load_quantized(folder);
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
        EXPECT_TRUE(std::string(error.what()).starts_with(folder)) << error.what();
      }
    };
    for (size_t length = 0; length < good.size(); length += 97) attempt(good.substr(0, length));
    for (int i = 0; i < 150; ++i) {
      std::string bytes = good;
      for (uint64_t n = random() % 3 + 1; n > 0; --n)
        bytes[random() % bytes.size()] = char(random());
      attempt(bytes);
    }
    write("int8/" + name, good);
  }
}

}  // namespace
}  // namespace ridgewalk
