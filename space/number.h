// Numbers as a user writes them, on the command line, in YAML and in tables alike: in one notation,
// decimal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ridgewalk {

// Digits with a minus before them where it is wanted. Nothing for what is read as one number here
// and as another there: leading zeros (010 is 8 in YAML 1.1 and 10 in YAML 1.2), 0x10, 0o10, 1_000,
// 1e3, +5, spaces, and what does not fit into 64 bits.
std::optional<int64_t> parse_whole(std::string_view text);

// A finite decimal number: 0.5, .5, -3, 1e-3. Nothing for leading zeros, hexadecimal digits, +5,
// spaces, inf and nan.
std::optional<double> parse_real(std::string_view text);

// The shortest text that reads back as the same double.
std::string number_text(double value);

// Why such a text is no number, and what to write: "'010' has a leading zero; write 10".
std::string number_complaint(std::string_view text, bool whole);

}  // namespace ridgewalk
