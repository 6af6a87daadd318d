// Reading YAML strictly: a wrong type, a missing key and an unknown key are errors with file and
// line. Not installed: public headers speak of files and text, not of nodes.
#pragma once

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "space/error.h"
#include "space/file.h"
#include "space/number.h"
#include "space/suggestion.h"

namespace ridgewalk {

// A node and where it came from.
struct YamlSource {
  YAML::Node node;
  std::string file;

  int line() const { return node.Mark().line + 1; }
  [[noreturn]] void fail(const std::string& message) const { throw Error(file, line(), message); }
};

// Throws Error when the text is not YAML; `file` names it in errors.
YamlSource parse_yaml(const std::string& text, const std::string& file);

template <class T>
constexpr const char* yaml_type_name() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_integral_v<T>) return "a whole number";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  return "a text";
}

// Throws Error on a value of another type. Numbers are decimal (space/number.h), for yaml-cpp reads
// 010 as 8.
template <class T>
T yaml_value(const YamlSource& source, std::string_view name) {
  const auto fail = [&](const std::string& why) {
    source.fail("'" + std::string(name) + "' must be " + yaml_type_name<T>() + why);
  };
  if (!source.node.IsScalar()) fail("");
  const std::string& text = source.node.Scalar();
  if constexpr (std::is_same_v<T, std::string>) {
    return text;
  } else if constexpr (std::is_same_v<T, bool>) {
    bool value = false;
    if (!YAML::convert<bool>::decode(source.node, value)) fail("");
    return value;
  } else if constexpr (std::is_floating_point_v<T>) {
    const std::optional<double> value = parse_real(text);
    if (!value) fail(": " + number_complaint(text, false));
    return static_cast<T>(*value);
  } else {
    const std::optional<int64_t> value = parse_whole(text);
    if (!value) fail(": " + number_complaint(text, true));
    if (!std::in_range<T>(*value)) fail(": '" + text + "' is out of range");
    return static_cast<T>(*value);
  }
}

// Reads the keys of one mapping. finish() refuses every key that nobody asked for.
class FieldReader {
 public:
  explicit FieldReader(YamlSource source) : source_(std::move(source)) {
    if (!source_.node.IsMap()) source_.fail("expected a mapping 'key: value'");
  }

  bool has(std::string_view name) {
    know(name);
    return bool(find(name));
  }

  // The value's node; an error when it is absent.
  YamlSource child(std::string_view name) {
    know(name);
    YAML::Node node = find(name);
    if (!node) fail_missing(name);
    return {node, source_.file};
  }

  template <class T>
  T required(std::string_view name) {
    return yaml_value<T>(child(name), name);
  }

  // Leaves `value` as it is when the key is absent.
  template <class T>
  void optional(std::string_view name, T& value) {
    if (has(name)) value = required<T>(name);
  }

  // A list, or one value standing for a list of one.
  template <class T>
  std::vector<T> list(std::string_view name) {
    const YamlSource source = child(name);
    if (!source.node.IsSequence()) return {yaml_value<T>(source, name)};
    if (source.node.size() == 0) source.fail("'" + std::string(name) + "' is an empty choice");
    std::vector<T> values;
    for (const YAML::Node& item : source.node) {
      values.push_back(yaml_value<T>({item, source_.file}, name));
    }
    return values;
  }

  // Throws Error naming the first key that was never asked for, and the known keys nearest to it,
  // or a key that is given twice.
  void finish() const {
    std::vector<std::string> seen;
    for (const auto& entry : source_.node) {
      const YamlSource key{entry.first, source_.file};
      const auto name = yaml_value<std::string>(key, "a key");
      if (contains(seen, name)) key.fail("key '" + name + "' is given twice; keep one");
      seen.push_back(name);
      if (contains(known_, name)) continue;
      key.fail("unknown key '" + name + "'; " + suggestion(name, known_));
    }
  }

  const YamlSource& source() const { return source_; }

 private:
  // operator[] of a const Node does not insert.
  YAML::Node find(std::string_view name) const {
    const YAML::Node& node = source_.node;
    return node[std::string(name)];
  }

  static bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  [[noreturn]] void fail_missing(std::string_view name) const {
    std::string message = "missing key '" + std::string(name) + "'";
    for (const auto& entry : source_.node) {
      const std::string& other = entry.first.Scalar();
      if (other.empty() || contains(known_, other) || !is_alike(other, name)) continue;
      message += "; is '" + other + "' a misspelling of it?";
      break;
    }
    source_.fail(message);
  }

  void know(std::string_view name) {
    if (!contains(known_, name)) known_.emplace_back(name);
  }

  YamlSource source_;
  std::vector<std::string> known_;
};

// Reads a number, if the key is there, and checks its range.
template <class T>
void bounded(FieldReader& reader, const char* name, T& value, double low, double high) {
  if (!reader.has(name)) return;
  const YamlSource source = reader.child(name);
  // A negative text would wrap around in an unsigned type.
  const auto number = yaml_value<double>(source, name);
  if (!(number >= low && number <= high)) {
    std::ostringstream message;
    message << "'" << name << "' is " << number << "; it must be from " << low << " to " << high;
    source.fail(message.str());
  }
  value = yaml_value<T>(source, name);
}

}  // namespace ridgewalk
