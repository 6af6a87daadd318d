// Weights as other programs save them, and values that no weights can have.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "supernet/formats/onnx.h"
#include "supernet/formats/safetensors.h"
#include "supernet/formats/weights.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"

namespace ridgewalk {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ForeignWeights : public SmallHybrid {
 protected:
  // The network's file with its tensors renamed or changed.
  std::string changed(const std::function<void(std::string&, torch::Tensor&)>& change,
                      const std::string& name = "changed") {
    save_weights(path("good"), store_);
    TensorFile file = read_safetensors(path("good"));
    for (auto& [tensor_name, tensor] : file.tensors) change(tensor_name, tensor);
    write_safetensors(path(name), file);
    return path(name);
  }
  void expect_loads(const std::string& file) {
    ParameterStore again(graph_);
    load_weights(file, again);
    EXPECT_TRUE(torch::equal(again.values(), store_.values())) << file;
  }
};

TEST_F(ForeignWeights, ThroughTorchCompileAndDataParallel) {
  for (const char* prefix : {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.",
                             "model.", "module.model.backbone."}) {
    expect_loads(changed([&](std::string& name, torch::Tensor&) { name = prefix + name; }));
  }
  // Blocks compiled one by one.
  expect_loads(changed([](std::string& name, torch::Tensor&) {
    if (name.starts_with("blocks.0.0.")) name.insert(11, "_orig_mod.");
  }));
}

// torch.optim.swa_utils.AveragedModel: the model as `module`, and how many were averaged beside it.
TEST_F(ForeignWeights, OfAnAverageOfModels) {
  for (const std::string wrapper : {"", "_orig_mod.", "module.", "ema."}) {
    changed([&](std::string& name, torch::Tensor&) { name = wrapper + "module." + name; });
    TensorFile file = read_safetensors(path("changed"));
    file.tensors.emplace_back(wrapper + "n_averaged", torch::full({}, 5, torch::kLong));
    file.tensors.emplace_back("bn.num_batches_tracked", torch::full({}, 7, torch::kLong));
    write_safetensors(path("averaged"), file);
    expect_loads(path("averaged"));
  }
  save_weights(path("unwrapped"), store_);
  TensorFile file = read_safetensors(path("unwrapped"));
  file.tensors.emplace_back("n_averaged", torch::full({}, 5, torch::kLong));
  write_safetensors(path("unwrapped"), file);
  expect_loads(path("unwrapped"));
  file.tensors.back().second = torch::zeros({2}, torch::kLong);  // no counter
  write_safetensors(path("unwrapped"), file);
  EXPECT_THAT(error_of([&] { expect_loads(path("unwrapped")); }),
              HasSubstr("tensor 'n_averaged' is not of this network"));
}

TEST_F(ForeignWeights, OneNameWithoutThePrefixIsAnotherNetwork) {
  const std::string file = changed([](std::string& name, torch::Tensor&) {
    if (name != "bn1.bias") name = "module." + name;
  });
  EXPECT_THAT(error_of([&] { expect_loads(file); }), HasSubstr("lacks tensor 'conv_stem.weight'"));
}

TEST_F(ForeignWeights, WithCountersOfAnyType) {
  for (torch::ScalarType type : {torch::kLong, torch::kInt, torch::kShort, torch::kByte,
                                 torch::kChar, torch::kFloat, torch::kDouble, torch::kHalf}) {
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {1}}) {
      expect_loads(changed([&](std::string& name, torch::Tensor& tensor) {
        if (name.ends_with(".num_batches_tracked")) tensor = torch::full(shape, 7).to(type);
      }));
    }
  }
}

TEST_F(ForeignWeights, OfDoublePrecision) {
  expect_loads(changed([](std::string&, torch::Tensor& tensor) {
    if (tensor.is_floating_point()) tensor = tensor.to(torch::kDouble);
  }));
}

// Weights of timm on Hugging Face: a folder named like the model, with model.safetensors.
TEST_F(ForeignWeights, InTimmsFoldersAndUnderItsFileNames) {
  const auto unchanged = [](std::string&, torch::Tensor&) {};
  expect_loads(changed(unchanged, "mobilenetv4_conv_small.e2400_r224_in1k.safetensors"));
  const std::string folder = path("timm/mobilenetv4_conv_small.e2400_r224_in1k");
  std::filesystem::create_directories(folder);
  changed(unchanged, "timm/mobilenetv4_conv_small.e2400_r224_in1k/model.safetensors");
  expect_loads(folder);
  EXPECT_THAT(error_of([&] { expect_loads(path()); }), HasSubstr("/model.safetensors: cannot be"));
}

TEST_F(ForeignWeights, SayWhatElseAFileIs) {
  for (const std::string start : {"PK\x03\x04", "\x80\x02}q"}) {
    write("pytorch_model.bin", start + std::string(64, '\xff'));
    EXPECT_THAT(error_of([&] { expect_loads(path("pytorch_model.bin")); }),
                AllOf(HasSubstr("PyTorch pickle"), HasSubstr("safetensors.torch.save_file")));
  }
  write("pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  EXPECT_THAT(error_of([&] { expect_loads(path("pointer")); }), HasSubstr("Git LFS pointer"));
}

TEST_F(ForeignWeights, OfValuesThatCannotBeAreRefusedNamingTheTensor) {
  const auto refusal = [&](const std::string& name, double value) {
    const std::string file = changed([&](std::string& known, torch::Tensor& tensor) {
      if (known == name) tensor = tensor.clone().index_put_({-1}, value);
    });
    return error_of([&] { expect_loads(file); });
  };
  EXPECT_THAT(refusal("bn1.running_var", -1e-3),
              AllOf(HasSubstr("'bn1.running_var'"), HasSubstr("a negative variance")));
  EXPECT_THAT(refusal("bn1.running_var", std::nan("")), HasSubstr("NaN or infinity"));
  EXPECT_THAT(refusal("bn1.bias", INFINITY), HasSubstr("tensor 'bn1.bias' holds NaN or infinity"));
  // A double that float32 cannot hold.
  const std::string file = changed([](std::string& name, torch::Tensor& tensor) {
    if (name == "bn1.weight") tensor = tensor.to(torch::kDouble) * 1e300;
  });
  EXPECT_THAT(error_of([&] { expect_loads(file); }), HasSubstr("'bn1.weight' holds NaN or inf"));
}

TEST_F(ForeignWeights, OfValuesThatCannotBeAreRefusedInOnnxToo) {
  const auto refusal = [&](const std::string& name, float value) {
    ParameterStore damaged(graph_);
    damaged.copy_common(store_);
    damaged.full(name).view({-1})[0] = value;
    write_onnx(path("damaged.onnx"), graph_, damaged);
    return error_of([&] { load_network(path("damaged.onnx"), graph_, torch::kCPU); });
  };
  EXPECT_THAT(refusal("bn1.running_var", -1), HasSubstr("'bn1.running_var' holds a negative var"));
  EXPECT_THAT(refusal("conv_stem.weight", NAN), HasSubstr("'conv_stem.weight' holds NaN"));
}

TEST_F(ForeignWeights, WhatTheyWereTrainedOnTravelsWithThem) {
  const Provenance provenance{.data = "imagefolder:birds",
                              .training_hash = 0xfedcba9876543210,
                              .split_seed = 0xffffffffffffffff,
                              .held_out = 12,
                              .classes = {"kea", "kaka \"k\""},
                              .mean = {0.1},
                              .deviation = {0.30000001},
                              .resolution = 16,
                              .crop_fraction = 0.95,
                              .learned = {{.data = "imagefolder:before", .hashes = {}},
                                          {.data = "imagefolder:birds",
                                           .training_hash = 0xfedcba9876543210,
                                           .split_seed = 0xffffffffffffffff,
                                           .held_out = 12,
                                           .hashes = {1, 0x0123456789abcdef, ~uint64_t(0)}}}};
  save_weights(path("w"), store_, torch::kFloat, provenance);
  ParameterStore again(graph_);
  EXPECT_EQ(load_weights(path("w"), again), provenance);
  EXPECT_EQ(read_provenance(path("w")), provenance);
  write_onnx(path("w.onnx"), graph_, store_, provenance);
  EXPECT_EQ(load_network(path("w.onnx"), graph_, torch::kCPU).provenance, provenance);
  EXPECT_EQ(read_provenance(path("w.onnx")), provenance);
  save_weights(path("none"), store_);
  EXPECT_EQ(read_provenance(path("none")), std::nullopt);
}

// Their metadata have no list.
TEST_F(ForeignWeights, OfEarlierVersionsHaveLearnedTheirData) {
  const std::string text =
      R"({"data":"idx:a","training_hash":5,"split_seed":6,"held_out":7,"classes":[],"mean":[0.5],)"
      R"("deviation":[1],"resolution":8,"crop_fraction":0})";
  const Provenance old = *provenance_in({{kProvenanceKey, text}}, "w");
  EXPECT_EQ(old.learned, (std::vector<LearnedImages>{{"idx:a", 5, 6, 7}}));
}

TEST_F(ForeignWeights, DamagedListsOfImagesAreRefused) {
  const std::string good = to_json({{.data = "d", .hashes = {1, 2}}});
  EXPECT_EQ(learned_from_json(good).at(0).hashes, (std::vector<uint64_t>{1, 2}));
  for (const auto& [from, to] : {std::pair("0001", "0003"),  // descending
                                 {"0001", "001"},
                                 {"0001", "000g"},
                                 {"\"held_out\":0", "\"held_out\":-1"},
                                 {"\"d\"", "3"},
                                 {"[", ""}}) {
    const std::string bad = replaced(good, from, to);
    EXPECT_THROW(learned_from_json(bad), nlohmann::json::exception) << bad;
    const std::string all =
        "{\"data\":\"d\",\"training_hash\":0,\"split_seed\":0,\"held_out\":0,"
        "\"classes\":[],\"mean\":[0.5],\"deviation\":[1],\"resolution\":8,"
        "\"crop_fraction\":0,\"learned\":" +
        bad + "}";
    EXPECT_THAT(error_of([&] { provenance_in({{kProvenanceKey, all}}, "w"); }),
                HasSubstr("metadata"));
  }
}

TEST_F(ForeignWeights, DamagedMetadataAreRefused) {
  const std::string good = to_json({.data = "d", .mean = {0.5}, .deviation = {1}, .resolution = 8});
  EXPECT_TRUE(provenance_in({{kProvenanceKey, good}}, "w"));
  for (const auto& [from, to] : {std::pair("\"resolution\":8", "\"resolution\":0"),
                                 {"[1.0]", "[0.0]"},
                                 {"[1.0]", "[]"},
                                 {"[1.0]", "[1e-300]"},
                                 {"[1.0]", "[9e-7]"},
                                 {"[1.0]", "[10.1]"},
                                 {"[0.5]", "[1e300]"},
                                 {"[0.5]", "[-10.1]"},
                                 {"[0.5]", "[null]"},
                                 {"\"held_out\":0", "\"held_out\":-1"},
                                 {"\"held_out\":0", "\"held_out\":true"},
                                 {"\"resolution\":8", "\"resolution\":8.5"},
                                 {"\"resolution\":8", "\"resolution\":4294967304"},
                                 {"\"training_hash\":0", "\"training_hash\":1e30"},
                                 {"}", ""},
                                 {"\"d\"", "3"}}) {
    const std::string bad = replaced(good, from, to);
    EXPECT_THAT(error_of([&] { provenance_in({{kProvenanceKey, bad}}, "file.w"); }),
                AllOf(testing::StartsWith("file.w: "), HasSubstr("metadata")))
        << bad;
  }
}

}  // namespace
}  // namespace ridgewalk
