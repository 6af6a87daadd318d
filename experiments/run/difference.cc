#include "experiments/run/difference.h"

#include <algorithm>
#include <sstream>

namespace ridgewalk {

std::string first_difference(const std::string& owner, const std::string& has,
                             const std::string& should) {
  std::istringstream has_lines(has), should_lines(should);
  std::string old_line, new_line;
  while (old_line == new_line) {
    if (!std::getline(has_lines, old_line)) old_line = "nothing more";
    if (!std::getline(should_lines, new_line)) new_line = "nothing more";
    if (!has_lines && !should_lines) return "it differs at its end";
  }
  constexpr size_t kMost = 100;  // characters of each
  size_t begin = 0;
  if (std::max(old_line.size(), new_line.size()) > kMost) {
    const auto differs =
        std::mismatch(old_line.begin(), old_line.end(), new_line.begin(), new_line.end());
    begin = size_t(differs.first - old_line.begin());
    // Whole words: the difference of 1 and 12 is not 2.
    while (begin > 0 && old_line[begin - 1] != ' ') --begin;
  }
  return owner + " '" + old_line.substr(begin, kMost) + "' where this has '" +
         new_line.substr(begin, kMost) + "'";
}

}  // namespace ridgewalk
