// JSON whose whole numbers are read strictly. Include this in place of <nlohmann/json.hpp>,
// everywhere: a program has one way to read an int. Not installed.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

// nlohmann's own conversion takes true and 1.5 for 1, cuts what does not fit, and is undefined for
// 1e300.
template <class Whole>
struct nlohmann::adl_serializer<
    Whole, std::enable_if_t<std::integral<Whole> && !std::same_as<Whole, bool>>> {
  template <class AnyJson>
  static void to_json(AnyJson& json, Whole value) {
    nlohmann::to_json(json, value);
  }

  // Throws nlohmann::json::exception for what is not a whole number, or does not fit.
  template <class AnyJson>
  static void from_json(const AnyJson& json, Whole& value) {
    const int64_t bits = json.template get_ref<const int64_t&>();  // of an unsigned one as well
    const bool fits = json.is_number_unsigned() ? std::in_range<Whole>(uint64_t(bits))
                                                : std::in_range<Whole>(bits);
    if (!fits) throw AnyJson::out_of_range::create(406, "number out of range", &json);
    value = Whole(bits);
  }
};
