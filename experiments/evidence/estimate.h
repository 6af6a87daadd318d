// A mean over seeds with its 95 % interval.
#pragma once

#include <string>
#include <vector>

#include "experiments/run/run_folder.h"

namespace ridgewalk {

// By Student's t. A single value, or values that are all equal, have no error and no interval
// (NaN): that they do not differ does not say how far others would.
struct Estimate {
  double mean = 0;
  double error = 0;  // standard error of the mean
  double half = 0;   // half the interval
};
Estimate estimate(const std::vector<double>& values);

// {mean, low, high}; null for what is not known.
Json estimate_json(const Estimate& e);
// "91.24 ± 0.31", "-" for null: estimate_json() times `scale`.
std::string estimate_text(const Json& estimate, double scale, int digits);

// The mean of `differences` within each seed: {points, low, high, standard_error, standard_errors};
// null unless there are two at least that differ.
Json paired_json(const std::vector<double>& differences);

}  // namespace ridgewalk
