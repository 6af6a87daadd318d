// Runs models in ONNX Runtime.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace ridgewalk {

// A test with a folder for model.onnx.
class Exported : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    folder_ =
        std::filesystem::temp_directory_path() / ("ridgewalk-onnx-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string model() const { return (folder_ / "model.onnx").string(); }

  // ONNX Runtime's output for model.onnx, of as many values as `like` has; of several, one after
  // the other. `optimization` is its level: disabled, basic, extended or all.
  torch::Tensor run(const torch::Tensor& images, const torch::Tensor& like,
                    const std::string& optimization = "all") {
    const torch::Tensor plain = images.contiguous();
    std::ofstream(folder_ / "input", std::ios::binary)
        .write(static_cast<const char*>(plain.data_ptr()), std::streamsize(plain.nbytes()));
    std::string command = "node '" RIDGEWALK_ONNX_RUNNER "'";
    for (const char* file : {"model.onnx", "input", "output"}) {
      command += " '" + (folder_ / file).string() + "'";
    }
    command += " " + optimization;
    for (int64_t size : images.sizes()) command += " " + std::to_string(size);
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    torch::Tensor logits = torch::zeros(like.sizes());
    std::ifstream stream(folder_ / "output", std::ios::binary);
    stream.read(static_cast<char*>(logits.data_ptr()), std::streamsize(logits.nbytes()));
    EXPECT_TRUE(stream && stream.peek() == EOF) << "the output has another size";
    return logits;
  }

  std::filesystem::path folder_;
};

}  // namespace ridgewalk
