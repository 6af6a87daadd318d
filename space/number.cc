#include "space/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ridgewalk {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool has_leading_zero(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && is_digit(text[1]);
}

template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || has_leading_zero(text)) return std::nullopt;
  return value;
}

std::string without_leading_zeros(std::string text) {
  const size_t first = text.starts_with('-') ? 1 : 0;
  while (has_leading_zero(text)) text.erase(first, 1);
  return text;
}

}  // namespace

std::optional<int64_t> parse_whole(std::string_view text) { return parse<int64_t>(text); }

std::optional<double> parse_real(std::string_view text) {
  const std::optional<double> value = parse<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string number_complaint(std::string_view text, bool whole) {
  const std::string quoted = "'" + std::string(text) + "' ";
  if (has_leading_zero(text)) {
    const std::string plain = without_leading_zeros(std::string(text));
    if (whole ? parse_whole(plain).has_value() : parse_real(plain).has_value()) {
      return quoted + "has a leading zero; write " + plain;
    }
  }
  if (!whole) return quoted + "is not a number; write it as 0.5, -3 or 1e-3";
  const auto digits = text.starts_with('-') ? text.substr(1) : text;
  if (!digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit)) {
    return quoted + "is too large";
  }
  return quoted + "is not a whole number; write it in decimal digits alone";
}

}  // namespace ridgewalk
