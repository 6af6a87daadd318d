// Names of timm's pretrained models (huggingface/pytorch-image-models, timm/models/mobilenetv3.py
// and efficientnet.py).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ridgewalk {

// A name of timm in terms of the catalogue.
struct TimmName {
  std::string base;               // catalogue name
  double multiplier = 1;          // of the width
  std::optional<int> resolution;  // that the tag names: r224
  std::optional<int> classes;     // of tags without ImageNet-1k: in12k, miil_in21k
};

// "mobilenetv4_conv_small_050.e3000_r224_in1k", with or without its tag, and with or without
// "timm/" or "hf-hub:timm/" before it. Nothing for other names and for the variants that the
// catalogue does not have: blurred or anti-aliased, deepened (mobilenetv2_120d), TensorFlow's
// (tf_).
std::optional<TimmName> parse_timm_name(std::string_view name);

// "mobilenetv4_conv_small", ...: the names that are known, without multipliers and tags.
std::vector<std::string> timm_names();

}  // namespace ridgewalk
