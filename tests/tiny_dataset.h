// The tiny images as a data set that the tests of a suite share: 500 images for training, 100 held
// out of them, 200 for testing.
#pragma once

#include <filesystem>
#include <string>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "supernet/data/dataset.h"
#include "tests/tiny_images.h"

namespace ridgewalk {

class TinyDataset : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    at::set_num_threads(2);
    folder_ = write_tiny_images(600, 200);
    data_ = load_dataset("idx:" + folder_, 100, 1);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static inline std::string folder_;
  static inline Dataset data_;
};

}  // namespace ridgewalk
