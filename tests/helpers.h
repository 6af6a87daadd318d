// Helpers for the tests of several folders.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "space/decisions.h"
#include "space/error.h"

namespace ridgewalk {

// A row of a CSV file: (column name, value) pairs, the names from the first line.
using CsvRow = std::vector<std::pair<std::string, std::string>>;

inline std::vector<std::string> csv_fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

inline std::vector<CsvRow> read_csv(const std::string& path) {
  std::ifstream stream(path);
  EXPECT_TRUE(stream) << path;
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> columns = csv_fields(line);
  std::vector<CsvRow> rows;
  while (std::getline(stream, line)) {
    const std::vector<std::string> fields = csv_fields(line);
    CsvRow& row = rows.emplace_back();
    for (size_t i = 0; i < columns.size(); ++i) row.emplace_back(columns[i], fields.at(i));
  }
  return rows;
}

inline std::string at(const CsvRow& row, const std::string& column) {
  for (const auto& [name, value] : row) {
    if (name == column) return value;
  }
  throw std::out_of_range(column);
}

// "1x32x112x112" -> 1, 32, 112, 112.
inline std::vector<int64_t> dimensions(const std::string& text) {
  std::vector<int64_t> sizes;
  std::istringstream stream(text);
  for (std::string size; std::getline(stream, size, 'x');) sizes.push_back(std::stoll(size));
  return sizes;
}

// The text of the Error that the action throws; any other outcome fails the test.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

// The action throws an Error whose text contains each of the parts.
template <class... Parts>
void expect_error(const std::function<void()>& action, const Parts&... parts) {
  EXPECT_THAT(error_of(action), testing::AllOf(testing::HasSubstr(std::string(parts))...));
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// Parses `text` truncated at every 37th byte, then `corruptions` times with one to four bytes
// changed. Parsing may succeed or throw an Error that names the file; any other exception fails the
// test.
template <class Parse>
void expect_parses_or_refuses(const std::string& text, int corruptions, Parse parse) {
  const auto attempt = [&](const std::string& broken) {
    try {
      parse(broken, "broken.yaml");
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("broken.yaml")) << broken;
    }
  };
  for (size_t length = 0; length < text.size(); length += 37) attempt(text.substr(0, length));
  std::mt19937_64 random(20240416);
  const std::string likely = "{}[]:,-&*!|>'\"%@`#\n\t 0123456789.eE~?";
  for (int i = 0; i < corruptions; ++i) {
    std::string broken = text;
    for (size_t n = 1 + random() % 4; n > 0; --n) {
      const bool any_byte = random() % 3 == 0;
      broken[random() % broken.size()] =
          any_byte ? static_cast<char>(random()) : likely[random() % likely.size()];
    }
    attempt(broken);
  }
}

// A space small enough to enumerate: 2 resolutions x 2 activations x 2 layer scales x 2 stem widths
// x stage 0: 2 widths x (fused 2 + conv pair 2 + UIBs: depth 1: 2*2*1*2 = 8, depth 2: 8 * 2*2*2*2)
// x stage 1: 2 widths x 2 kernels = 16 * 2 * 140 * 4 = 17,920 architectures.
inline SearchSpace tiny_space() {
  return search_space_from_yaml(R"(
name: tiny
resolution: [20, 32]
channels: 3
classes: 10
activation: [relu, gelu]
layer_scale: [0, 0.01]
stem: {kernel: 3, stride: 2, width: [8, 16]}
stages:
  - {block: [uib, fused_ib, conv_pair], stride: 2, width: [8, 16], depth: [1, 2],
     expansion: [1, 2], kernel1: [0, 3], kernel2: [0, 3],
     attention: [none, {heads: 2, key_dim: 8, value_dim: 4, kv_stride: 2}]}
  - {block: uib, stride: 1, width: [24, 8], depth: [1], expansion: [2], kernel1: [0],
     kernel2: [3, 5]}
head: {width: 32, features: 40}
)",
                                "tiny.yaml");
}
constexpr double kTinySpaceSize = 17920;

// Calls `use` with every combination of option indices, unused choices deactivated, so an
// architecture comes up once for each combination that decodes to it.
inline void for_each_raw_decisions(const SearchSpace& space,
                                   const std::function<void(const Decisions&)>& use) {
  const std::vector<Choice> list = choices(space);
  const ChoiceLayout layout = choice_layout(space);
  Decisions raw(list.size(), 0);
  size_t digit = 0;
  while (digit < raw.size()) {
    Decisions decisions = raw;
    deactivate_unused(space, layout, decisions);
    use(decisions);
    for (digit = 0; digit < raw.size(); ++digit) {
      if (++raw[digit] < std::ssize(list[digit].options)) break;
      raw[digit] = 0;
    }
  }
}

}  // namespace ridgewalk
