// Every network of the catalogue, exported and run by ONNX Runtime, compared with the executor.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/weights.h"
#include "supernet/network/executor.h"
#include "tests/formula_weights.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

void write_floats(const fs::path& path, const torch::Tensor& tensor) {
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(tensor.data_ptr()), std::streamsize(tensor.nbytes()));
}

class Runtime : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    folder_ = fs::temp_directory_path() / ("ridgewalk-onnx-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // ONNX Runtime's logits for model.onnx.
  torch::Tensor run(const torch::Tensor& images, const torch::Tensor& like) {
    write_floats(folder_ / "input", images);
    std::string command = "node '" RIDGEWALK_ONNX_RUNNER "'";
    for (const char* file : {"model.onnx", "input", "output"}) {
      command += " '" + (folder_ / file).string() + "'";
    }
    for (int64_t size : images.sizes()) command += " " + std::to_string(size);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    torch::Tensor logits = torch::zeros(like.sizes());
    std::ifstream stream(folder_ / "output", std::ios::binary);
    stream.read(static_cast<char*>(logits.data_ptr()), std::streamsize(logits.nbytes()));
    EXPECT_TRUE(stream && stream.peek() == EOF) << "the logits have another size";
    return logits;
  }

  fs::path folder_;
};

TEST_P(Runtime, GivesTheExecutorsLogits) {
  at::NoGradGuard no_grad;
  const Architecture architecture = find_architecture(GetParam());
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  const int64_t side = architecture.resolution;
  const auto images = torch::randn({2, architecture.channels, side, side});
  const auto expected =
      Executor(graph, store)
          .forward(images.contiguous(torch::MemoryFormat::ChannelsLast), NormMode::kRunning);
  const double scale = expected.abs().max().item<double>();
  ASSERT_GT(scale, 0);
  for (bool folded : {true, false}) {
    const std::string path = (folder_ / "model.onnx").string();
    if (folded) {
      const Network network = fold_norms(graph, store);
      write_onnx(path, network.graph, network.parameters);
    } else {
      write_onnx(path, graph, store);
    }
    const auto logits = run(images, expected);
    const double difference = (logits - expected).abs().max().item<double>() / scale;
    std::printf("%s, %s: worst difference %.2g of the largest logit\n", GetParam().c_str(),
                folded ? "folded" : "not folded", difference);
    EXPECT_LT(difference, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Catalogue, Runtime, testing::ValuesIn(catalog_names()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace ridgewalk
