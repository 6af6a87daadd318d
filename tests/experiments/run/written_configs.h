// Configurations in a folder of their own, beside one that they can be based on.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/run/config.h"
#include "space/error.h"

namespace ridgewalk {

class WrittenConfigs : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/ridgewalk-config-" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    std::filesystem::copy_file("experiments/configs/search/evidence.yaml", folder_ + "/base.yaml");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string written(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  std::string refusal(const std::string& path) const {
    try {
      load_search_config(path, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

  std::string folder_;
};

}  // namespace ridgewalk
