// The names of an enum, written once: messages, files and the command line share one table.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ridgewalk {

template <class Enum>
struct Name {
  Enum value;
  std::string_view text;
};

template <class Enum, size_t size>
struct NameTable {
  std::string_view what;  // one of them, in messages: "activation"
  // A value may stand in several rows: the first is the name that is written, all are read.
  std::array<Name<Enum>, size> rows;
};

template <class Enum, size_t size>
constexpr NameTable<Enum, size> name_table(std::string_view what, const Name<Enum> (&rows)[size]) {
  return {what, std::to_array(rows)};
}

// Specialised beside each enum that has names:
//
//   enum class Side { kLeft, kRight };
//   template <>
//   inline constexpr auto kNames<Side> =
//       name_table<Side>("side", {{Side::kLeft, "left"}, {Side::kRight, "right"}});
template <class Enum>
inline constexpr std::nullptr_t kNames = nullptr;

template <class T>
concept Named =
    std::is_enum_v<T> && !std::same_as<std::remove_const_t<decltype(kNames<T>)>, std::nullptr_t>;

template <Named Enum>
constexpr std::string_view to_string(Enum value) {
  for (const Name<Enum>& row : kNames<Enum>.rows) {
    if (row.value == value) return row.text;
  }
  return "";
}

// Every value once, in the order of the table.
template <Named Enum>
inline constexpr auto kValues = [] {
  constexpr auto is_first = [](size_t i) {
    return to_string(kNames<Enum>.rows[i].value) == kNames<Enum>.rows[i].text;
  };
  constexpr size_t rows = kNames<Enum>.rows.size();
  constexpr size_t count = [&] {
    size_t first = 0;
    for (size_t i = 0; i < rows; ++i) first += is_first(i);
    return first;
  }();
  std::array<Enum, count> values{};
  for (size_t i = 0, next = 0; i < rows; ++i) {
    if (is_first(i)) values[next++] = kNames<Enum>.rows[i].value;
  }
  return values;
}();

// Throws Error saying what is not known and what it may have meant.
[[noreturn]] void fail_unknown_name(std::string_view what, std::string_view asked,
                                    const std::vector<std::string>& known);

// Throws Error with the likeliest names for one that is unknown.
template <Named Enum>
Enum value_named(std::string_view text) {
  for (const Name<Enum>& row : kNames<Enum>.rows) {
    if (row.text == text) return row.value;
  }
  std::vector<std::string> known;
  for (Enum value : kValues<Enum>) known.emplace_back(to_string(value));
  fail_unknown_name(kNames<Enum>.what, text, known);
}

}  // namespace ridgewalk
