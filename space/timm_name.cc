#include "space/timm_name.h"

#include <regex>

namespace ridgewalk {
namespace {

struct Family {
  std::string_view timm, catalog;
};
constexpr Family kFamilies[] = {{"mobilenetv4_conv_small", "mnv4-conv-small"},
                                {"mobilenetv4_conv_medium", "mnv4-conv-medium"},
                                {"mobilenetv4_conv_large", "mnv4-conv-large"},
                                {"mobilenetv4_hybrid_medium", "mnv4-hybrid-medium"},
                                {"mobilenetv4_hybrid_large", "mnv4-hybrid-large"},
                                {"mobilenetv1", "mobilenet-v1"},
                                {"mobilenetv2", "mobilenet-v2"},
                                {"mobilenetv3_large", "mobilenet-v3-large"}};

// The outputs of classifiers that were not fine-tuned on ImageNet-1k, from timm's default_cfgs.
constexpr std::pair<std::string_view, int> kClasses[] = {{"in12k", 11821}, {"miil_in21k", 11221}};

void read_tag(const std::string& tag, TimmName& name) {
  static const std::regex kResolution("(^|_)r([1-9][0-9]{1,3})(_|$)");
  if (std::smatch found; std::regex_search(tag, found, kResolution)) {
    name.resolution = std::stoi(found[2]);
  }
  for (const auto& [ending, classes] : kClasses) {
    if (tag.ends_with(ending)) name.classes = classes;
  }
}

}  // namespace

std::optional<TimmName> parse_timm_name(std::string_view name) {
  constexpr size_t kLongest = 128;  // std::regex recurses over its text
  if (name.size() > kLongest) return std::nullopt;
  static const std::regex kName(
      "(?:(?:hf[-_]hub:)?timm/)?"
      "(mobilenetv[0-9](?:_[a-z]+)*)(?:_([0-9]{3}))?(?:\\.([a-z0-9]+(?:_[a-z0-9]+)*))?");
  std::smatch parts;
  const std::string text(name);
  if (!std::regex_match(text, parts, kName) || parts[3] == "yaml" || parts[3] == "yml") {
    return std::nullopt;
  }
  for (const Family& family : kFamilies) {
    if (parts.str(1) != family.timm) continue;
    TimmName found{.base = std::string(family.catalog), .resolution = {}, .classes = {}};
    if (parts[2].matched) found.multiplier = std::stoi(parts[2]) / 100.0;
    if (parts[3].matched) read_tag(parts[3], found);
    return found;
  }
  return std::nullopt;
}

std::vector<std::string> timm_names() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.timm);
  return names;
}

}  // namespace ridgewalk
