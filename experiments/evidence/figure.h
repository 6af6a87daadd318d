// A figure over networks with its confidence interval.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/json.h"
#include "roofline/intervals.h"

namespace ridgewalk {

struct Figure {
  double value = 0;                  // NaN where it is not defined
  std::optional<Interval> interval;  // nothing where the networks do not give one
};

// {value, low, high, method}; null for what there is not.
Json figure_json(const Figure& figure);
// "0.61 [0.43, 0.74]", times `scale`; "0.61" without an interval, "-" without a value.
std::string figure_text(const Figure& figure, double scale, int digits);
// How the intervals of `figures` were found, for a reader, and why some have none.
std::string interval_methods(const std::vector<Figure>& figures);

}  // namespace ridgewalk
