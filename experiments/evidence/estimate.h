// A mean over seeds with its 95 % interval.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/json.h"

namespace ridgewalk {

// By Student's t. A single value, or values that are all equal, have no error and no interval
// (NaN): that they do not differ does not say how far others would.
struct Estimate {
  double mean = 0;
  double error = 0;  // standard error of the mean
  double half = 0;   // half the interval
  double low() const { return mean - half; }
  double high() const { return mean + half; }
};
Estimate estimate(const std::vector<double>& values);

// {mean, low, high}; null for what is not known.
Json estimate_json(const Estimate& e);
// "91.24 ± 0.31", times `scale`; "91.24" where there is no interval, "-" where there is no mean.
std::string estimate_text(const Estimate& e, double scale, int digits);

// The mean of the differences within each seed; nothing unless at least two of them differ.
std::optional<Estimate> paired_estimate(const std::vector<double>& differences);
// {points, low, high, standard_error, standard_errors}, the last the mean over the one before.
Json paired_json(const Estimate& difference);

}  // namespace ridgewalk
