#include "space/yaml.h"

namespace ridgewalk {
namespace {

constexpr size_t kMostNodes = 100'000;  // of a short text
constexpr int kDeepest = 500;           // yaml-cpp's own limit where there are no aliases

// An alias counts as all that it stands for, as for whoever reads it: a few that stand for each
// other grow exponentially, and one within itself never ends.
void count_nodes(const YamlSource& source, size_t most, int depth, size_t& count) {
  if (++count > most || depth > kDeepest) {
    source.fail("aliases (*) here stand for too much or for themselves; write it out");
  }
  for (const auto& entry : source.node) {
    if (source.node.IsSequence()) {
      count_nodes({entry, source.file}, most, depth + 1, count);
    } else {
      count_nodes({entry.first, source.file}, most, depth + 1, count);
      count_nodes({entry.second, source.file}, most, depth + 1, count);
    }
  }
}

}  // namespace

YamlSource parse_yaml(const std::string& text, const std::string& file) {
  YamlSource source{.node = {}, .file = file};
  try {
    // Refuses to recurse deeper than 500 by itself.
    source.node = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    throw Error(file, error.mark.line + 1, "not YAML: " + error.msg);
  }
  size_t nodes = 0;
  if (text.find('*') != std::string::npos) {
    count_nodes(source, std::max(kMostNodes, text.size()), 0, nodes);
  }
  return source;
}

bool is_yaml_text(std::string_view text) {
  while (!text.empty()) {
    const auto first = uint8_t(text[0]);
    const size_t length = first < 0x80   ? 1
                          : first < 0xC2 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                                         : 4;
    if (length == 0 || first > 0xF4 || length > text.size()) return false;
    uint32_t character = length == 1 ? first : first & (0x7Fu >> length);
    for (size_t i = 1; i < length; ++i) {
      if ((uint8_t(text[i]) & 0xC0) != 0x80) return false;
      character = character << 6 | (uint8_t(text[i]) & 0x3Fu);
    }
    const bool is_overlong =
        (length == 3 && character < 0x800) || (length == 4 && character < 0x10000);
    const bool is_surrogate = character >= 0xD800 && character <= 0xDFFF;
    const bool is_no_character =
        (character & 0xFFFE) == 0xFFFE || (character >= 0xFDD0 && character <= 0xFDEF);
    if (is_overlong || is_surrogate || is_no_character || character > 0x10FFFF) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace ridgewalk
