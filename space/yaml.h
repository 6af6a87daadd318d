// Reading YAML strictly: a wrong type, a missing key and an unknown key are errors with file and
// line. Not installed: public headers know files and text, not nodes.
#pragma once

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "space/error.h"
#include "space/file.h"
#include "space/names.h"
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

// Throws Error when the text is not YAML, or holds aliases that stand for far more than it has
// characters; `file` names it in errors.
YamlSource parse_yaml(const std::string& text, const std::string& file);

// Whether YAML can be written with this text and read alike: without what is not UTF-8, and what
// Unicode has no characters for.
bool is_yaml_text(std::string_view text);

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
    if (!is_yaml_text(text)) fail(" in UTF-8; save the file in this encoding");
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

// Runs `make`, giving what it throws the place of `source`.
template <class Make>
auto at_line(const YamlSource& source, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    source.fail(error.what());
  }
}

// What a number may be, both ends included.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

template <class T>
constexpr bool kIsVector = false;
template <class T>
constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;
// What has fields of its own.
template <class T>
constexpr bool kIsStruct =
    std::is_class_v<T> && !std::is_same_v<T, std::string> && !kIsVector<T> && !kIsOptional<T>;

// A struct that is read (not const) or written (const). Its fields are listed once, for the
// FieldReader below and for the FieldWriter in space/yaml_writer.h:
//
//   void fields(auto& v, Of<NormConstants> auto& norm) {
//     v.optional("epsilon", norm.epsilon);
//     v.optional("momentum", norm.momentum);
//   }
template <class T, class Struct>
concept Of = std::same_as<std::remove_const_t<T>, Struct>;

// Reads the keys of one mapping. finish() refuses every key that nobody asked for.
class FieldReader {
 public:
  explicit FieldReader(YamlSource source) : source_(std::move(source)) {
    if (!source_.node.IsMap()) source_.fail("expected a mapping 'key: value'");
  }

  // Throws Error when the key is absent or its value is not of the type or out of range. A vector
  // takes one value for a list of one; a struct is read by its fields().
  template <class T>
  void required(std::string_view name, T& value, Range range = {}) {
    read(child(name), name, value, range);
  }
  template <class T>
  T required(std::string_view name) {
    T value{};
    required(name, value);
    return value;
  }

  // Leaves `value` as it is when the key is absent.
  template <class T>
  void optional(std::string_view name, T& value, Range range = {}) {
    if (has(name)) required(name, value, range);
  }

  // The same; a FieldWriter leaves out what equals `default_value`.
  template <class T>
  void omittable(std::string_view name, T& value, const std::type_identity_t<T>& = {},
                 Range range = {}) {
    optional(name, value, range);
  }

  // Whether a part is there; a FieldWriter is told by `is_written`.
  bool has_part(std::string_view name, [[maybe_unused]] bool is_written) { return has(name); }

  // A mapping within this one, whose fields are those that `list` names to the reader it is given.
  template <class List>
  void part(std::string_view name, List list) {
    FieldReader reader(child(name));
    list(reader);
    reader.finish();
  }
  template <class List>
  void one_line_part(std::string_view name, List list) {
    part(name, list);
  }

  template <class T>
  std::vector<T> list(std::string_view name) {
    return required<std::vector<T>>(name);
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
  template <class T>
  static void read(const YamlSource& source, std::string_view name, T& value, Range range) {
    if constexpr (kIsOptional<T>) {
      read(source, name, value.emplace(), range);
    } else if constexpr (kIsVector<T>) {
      read_list(source, name, value, range);
    } else if constexpr (Named<T>) {
      const auto text = yaml_value<std::string>(source, name);
      value = at_line(source, [&] { return value_named<T>(text); });
    } else if constexpr (kIsStruct<T>) {
      FieldReader reader(source);
      fields(reader, value);
      reader.finish();
    } else {
      if constexpr (std::is_arithmetic_v<T>) check_range(source, name, range);
      value = yaml_value<T>(source, name);
    }
  }

  template <class T>
  static void read_list(const YamlSource& source, std::string_view name, std::vector<T>& values,
                        Range range) {
    values.clear();
    if (!source.node.IsSequence()) {
      if constexpr (kIsStruct<T>) source.fail("'" + std::string(name) + "' must be a list");
      return read(source, name, values.emplace_back(), range);
    }
    if (!kIsStruct<T> && source.node.size() == 0) {
      source.fail("'" + std::string(name) + "' is empty; list at least one option");
    }
    for (const YAML::Node& item : source.node) {
      read({item, source.file}, name, values.emplace_back(), range);
    }
  }

  static void check_range(const YamlSource& source, std::string_view name, Range range) {
    if (std::isinf(range.low) && std::isinf(range.high)) return;
    // A negative text would wrap around in an unsigned type.
    const auto number = yaml_value<double>(source, name);
    if (number >= range.low && number <= range.high) return;
    std::ostringstream message;
    message << "'" << name << "' is " << number << "; it must be from " << range.low << " to "
            << range.high;
    source.fail(message.str());
  }

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
  reader.optional(name, value, {low, high});
}

}  // namespace ridgewalk
