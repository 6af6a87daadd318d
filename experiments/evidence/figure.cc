#include "experiments/evidence/figure.h"

#include <cmath>
#include <set>

#include <fmt/format.h>

namespace ridgewalk {

Json figure_json(const Figure& figure) {
  Json json = {{"value", number_or_null(figure.value)},
               {"low", nullptr},
               {"high", nullptr},
               {"method", nullptr}};
  if (figure.interval) {
    json["low"] = figure.interval->low;
    json["high"] = figure.interval->high;
    json["method"] = to_string(figure.interval->method);
  }
  return json;
}

std::string figure_text(const Figure& figure, double scale, int digits) {
  if (!std::isfinite(figure.value)) return "-";
  const auto text = [&](double value) { return fmt::format("{:.{}f}", scale * value, digits); };
  if (!figure.interval) return text(figure.value);
  return fmt::format("{} [{}, {}]", text(figure.value), text(figure.interval->low),
                     text(figure.interval->high));
}

std::string interval_methods(const std::vector<Figure>& figures) {
  std::set<IntervalMethod> used;
  std::vector<std::string> parts;
  bool is_one_without = false;
  for (const Figure& figure : figures) {
    if (!std::isfinite(figure.value)) continue;
    if (figure.interval) used.insert(figure.interval->method);
    is_one_without |= !figure.interval;
  }
  for (IntervalMethod method : used) parts.emplace_back(description(method));
  if (is_one_without) {
    parts.push_back(fmt::format("none from fewer than {} networks or from resamples that are alike",
                                kFewestResampled));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace ridgewalk
