// What an unknown name was perhaps meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ridgewalk {

// Insertions, deletions, substitutions and swaps of neighbours that turn one text into the other
// (Damerau-Levenshtein, in its variant "optimal string alignment": no part is edited twice).
int edit_distance(std::string_view a, std::string_view b);

// Whether one is a likely misspelling of the other: at most a third of the letters are edited, or
// one name contains the other. Case does not count, and '_' is '-'.
bool is_alike(std::string_view asked, std::string_view known);

// At most `count` of `known`, the likeliest to be meant by `asked` first.
std::vector<std::string> nearest_names(std::string_view asked,
                                       const std::vector<std::string>& known, size_t count = 3);

// The end of a message about an unknown name: "did you mean A or B?", "known are A, B, C" where
// none is alike and there are few, else "the nearest known names are A, B, C".
std::string suggestion(std::string_view asked, const std::vector<std::string>& known);

}  // namespace ridgewalk
