// The YAML files that are built into the program, so that it runs from any folder. CMake generates
// their texts from space/ at configure time. Not installed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ridgewalk {

struct EmbeddedFile {
  std::string_view name;  // without folder and extension
  std::string_view text;
};

std::span<const EmbeddedFile> embedded_catalog();
std::span<const EmbeddedFile> embedded_search_spaces();
std::span<const EmbeddedFile> embedded_published();

inline std::optional<std::string_view> find(std::span<const EmbeddedFile> files,
                                            std::string_view name) {
  for (const EmbeddedFile& file : files) {
    if (file.name == name) return file.text;
  }
  return std::nullopt;
}

inline std::vector<std::string> names(std::span<const EmbeddedFile> files) {
  std::vector<std::string> list;
  for (const EmbeddedFile& file : files) list.emplace_back(file.name);
  return list;
}

}  // namespace ridgewalk
