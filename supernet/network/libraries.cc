#include "supernet/network/libraries.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include <regex>

namespace ridgewalk {
namespace {

// What the pattern's group matches first; empty if nothing does.
std::string found(const std::string& text, const char* pattern) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? match[1].str() : std::string();
}

}  // namespace

std::string libtorch_version() {
  const std::string loaded = found(at::show_config(), "TORCH_VERSION=([^, \n]+)");
  return loaded.empty() ? TORCH_VERSION : loaded;
}

std::string onednn_version() {
  const std::string version = found(at::get_mkldnn_version(), "v([0-9.]+)");
  return version.empty() ? "none" : version;
}

int onednn_major() {
  static const int major = std::atoi(onednn_version().c_str());
  return major;
}

}  // namespace ridgewalk
