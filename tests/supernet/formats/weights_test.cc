#include "supernet/formats/weights.h"

#include <filesystem>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "supernet/formats/safetensors.h"
#include "tests/helpers.h"
#include "tests/supernet/formats/small_hybrid.h"

namespace ridgewalk {
namespace {

class Weights : public SmallHybrid {
 protected:
  // The path of the network's file after the change.
  std::string changed(const std::function<void(TensorFile&)>& change) {
    save_weights(path("good"), store_);
    TensorFile file = read_safetensors(path("good"));
    change(file);
    write_safetensors(path("changed"), file);
    return path("changed");
  }
  void expect_refused(const std::function<void(TensorFile&)>& change, const std::string& says) {
    const std::string file = changed(change);
    ParameterStore other(graph_);
    expect_error([&] { load_weights(file, other); }, file, says);
  }
};

torch::Tensor& find(TensorFile& file, const std::string& name) {
  for (auto& [known, tensor] : file.tensors) {
    if (known == name) return tensor;
  }
  throw std::out_of_range(name);
}

TEST_F(Weights, HaveTimmsNamesInItsOrderWithCounters) {
  save_weights(path("w"), store_);
  const TensorFile file = read_safetensors(path("w"));
  ASSERT_GT(file.tensors.size(), 7u);
  const char* names[] = {"conv_stem.weight",
                         "bn1.weight",
                         "bn1.bias",
                         "bn1.running_mean",
                         "bn1.running_var",
                         "bn1.num_batches_tracked",
                         "blocks.0.0.dw_start.conv.weight"};
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(file.tensors[i].first, names[i]);
  EXPECT_EQ(file.at("bn1.num_batches_tracked").scalar_type(), torch::kLong);
}

TEST_F(Weights, ComeBackFromHalfPrecisionRounded) {
  for (torch::ScalarType type : {torch::kHalf, torch::kBFloat16}) {
    save_weights(path("half"), store_, type);
    ParameterStore again(graph_);
    load_weights(path("half"), again);
    EXPECT_TRUE(torch::equal(again.values(), store_.values().to(type).to(torch::kFloat)));
  }
}

// The largest float is nearer to 2^128 than to bfloat16's largest number.
TEST_F(Weights, ThatAShorterTypeCannotHoldAreNotWritten) {
  store_.full("bn1.bias")[0] = 7e4;
  expect_error([&] { save_weights(path("w16"), store_, torch::kHalf); }, "'bn1.bias'",
               "bf16 holds");
  store_.full("bn1.bias")[0] = std::numeric_limits<float>::max();
  expect_error([&] { save_weights(path("w16"), store_, torch::kBFloat16); }, "'bn1.bias'",
               "does not fit bf16");
  EXPECT_FALSE(std::filesystem::exists(path("w16")));
}

TEST_F(Weights, LoadWithoutTheCounters) {
  const std::string file = changed([](TensorFile& f) {
    std::erase_if(f.tensors, [](const auto& entry) { return entry.first.ends_with("tracked"); });
  });
  ParameterStore again(graph_);
  load_weights(file, again);
  EXPECT_TRUE(torch::equal(again.values(), store_.values()));
}

TEST_F(Weights, AreRefusedNamingTheTensor) {
  expect_refused([](TensorFile& f) { f.tensors.erase(f.tensors.begin()); },
                 "lacks tensor 'conv_stem.weight'");
  expect_refused([](TensorFile& f) { f.tensors.emplace_back("extra", torch::zeros({1})); },
                 "tensor 'extra' is not of this network");
  expect_refused([](TensorFile& f) { find(f, "bn1.bias") = torch::zeros({9}); },
                 "tensor 'bn1.bias' is [9], expected [8]");
  expect_refused([](TensorFile& f) { find(f, "bn1.bias") = torch::zeros({8}, torch::kLong); },
                 "tensor 'bn1.bias' is not a floating-point tensor");
  expect_refused([](TensorFile& f) { find(f, "classifier.weight") = torch::zeros({5, 25}); },
                 "it belongs to another network");
}

TEST_F(Weights, KeepAFreshHeadForOtherClassesOnlyWhenAsked) {
  save_weights(path("w"), store_);
  Architecture other = small_hybrid();
  other.classes = 7;
  ParameterStore parameters(lower(other));
  parameters.initialize(3);
  const auto head = parameters.full("classifier.weight").clone();
  expect_error([&] { load_weights(path("w"), parameters); }, path("w"), "--reset-head");
  load_weights(path("w"), parameters, true);
  EXPECT_TRUE(torch::equal(parameters.full("classifier.weight"), head));
  EXPECT_TRUE(torch::equal(parameters.full("conv_head.weight"), store_.full("conv_head.weight")));
}

TEST_F(Weights, FoldedGiveTheSameLogits) {
  Network folded = fold_norms(graph_, store_);
  const auto expected = logits(graph_, store_);
  EXPECT_TRUE(torch::allclose(logits(folded.graph, folded.parameters), expected, 1e-5, 1e-6));
}

}  // namespace
}  // namespace ridgewalk
