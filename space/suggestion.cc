#include "space/suggestion.h"

#include <algorithm>
#include <cctype>

namespace ridgewalk {
namespace {

constexpr size_t kLongestName = 64;  // of a longer one the rest does not count
constexpr size_t kFew = 5;           // names that are listed whole

std::string normalized(std::string_view name) {
  std::string text(name.substr(0, kLongestName));
  for (char& c : text) {
    c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

// From a text to each prefix of another, the shortest first.
std::vector<int> edit_distances(std::string_view a, std::string_view b) {
  std::vector<int> before_last, last, row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before_last = std::move(last);
    last = std::move(row);
    row.assign(b.size() + 1, static_cast<int>(i));
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row;
}

// One edit where a name contains the other, and one more than its own where the start of a name is
// meant: "pixle6" for "pixel6-cpu".
int distance_of_names(const std::string& asked, const std::string& known) {
  const auto contains = [](const std::string& text, const std::string& part) {
    return part.size() >= 3 && text.find(part) != std::string::npos;
  };
  const std::vector<int> distances = edit_distances(asked, known);
  const int of_start = *std::min_element(distances.begin(), distances.end());
  int distance = distances.back();
  if (3 * of_start <= static_cast<int>(asked.size())) distance = std::min(distance, of_start + 1);
  return contains(known, asked) || contains(asked, known) ? std::min(distance, 1) : distance;
}

std::string listed(const std::vector<std::string>& names, std::string_view last_separator) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? last_separator : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) { return edit_distances(a, b).back(); }

bool is_alike(std::string_view asked, std::string_view known) {
  const auto length = static_cast<int>(std::max(asked.size(), known.size()));
  return distance_of_names(normalized(asked), normalized(known)) <= std::max(1, length / 3);
}

std::vector<std::string> nearest_names(std::string_view asked,
                                       const std::vector<std::string>& known, size_t count) {
  const std::string wanted = normalized(asked);
  std::vector<std::pair<int, std::string>> ordered;
  for (const std::string& name : known) {
    ordered.emplace_back(distance_of_names(wanted, normalized(name)), name);
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(count, ordered.size()); ++i) names.push_back(ordered[i].second);
  return names;
}

std::string suggestion(std::string_view asked, const std::vector<std::string>& known) {
  std::vector<std::string> alike = nearest_names(asked, known);
  std::erase_if(alike, [&](const std::string& name) { return !is_alike(asked, name); });
  if (!alike.empty()) return "did you mean " + listed(alike, " or ") + "?";
  if (known.size() <= kFew) return "known are " + listed(known, ", ");
  return "the nearest known names are " + listed(nearest_names(asked, known), ", ");
}

}  // namespace ridgewalk
