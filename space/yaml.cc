#include "space/yaml.h"

#include <boost/locale/utf.hpp>

namespace ridgewalk {
namespace {

constexpr size_t kMostNodes = 100'000;  // of a short text
constexpr int kDeepest = 500;           // yaml-cpp's own limit where there are no aliases

// An alias counts as all that it stands for, as for whoever reads it: a few that stand for each
// other grow exponentially, and one within itself never ends.
void count_nodes(const YamlSource& source, size_t most, int depth, size_t& count) {
  if (++count > most || depth > kDeepest) {
    source.fail("aliases (*) here stand for too much, or for themselves; write them out");
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
  using Utf8 = boost::locale::utf::utf_traits<char>;
  for (auto at = text.begin(); at != text.end();) {
    const boost::locale::utf::code_point character = Utf8::decode(at, text.end());
    const bool is_no_character =
        (character & 0xFFFE) == 0xFFFE || (character >= 0xFDD0 && character <= 0xFDEF);
    if (is_no_character) return false;  // those that stand for what is not UTF-8, too
  }
  return true;
}

}  // namespace ridgewalk
