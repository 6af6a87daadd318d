#include "experiments/evidence/estimate.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <boost/math/distributions/students_t.hpp>

#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

constexpr double kRounding = 1e-12;  // differences of this size

}  // namespace

Estimate estimate(const std::vector<double>& values) {
  Estimate result{.mean = mean(values), .error = NAN, .half = NAN};
  const double n = double(values.size());
  if (n < 2) return result;
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const double size = std::max({1.0, std::abs(*lowest), std::abs(*highest)});
  if (*highest - *lowest <= kRounding * size) return result;
  double squares = 0;
  for (double value : values) squares += (value - result.mean) * (value - result.mean);
  result.error = std::sqrt(squares / (n - 1) / n);
  const boost::math::students_t t(n - 1);
  result.half = boost::math::quantile(t, 0.975) * result.error;
  return result;
}

Json estimate_json(const Estimate& e) {
  return {{"mean", number_or_null(e.mean)},
          {"low", number_or_null(e.mean - e.half)},
          {"high", number_or_null(e.mean + e.half)}};
}

std::string estimate_text(const Json& estimate, double scale, int digits) {
  if (!estimate.is_object() || !estimate["mean"].is_number()) return "-";
  const double value = estimate["mean"];
  if (!estimate["high"].is_number()) return fmt::format("{:.{}f}", scale * value, digits);
  return fmt::format("{:.{}f} ± {:.{}f}", scale * value, digits,
                     scale * (estimate["high"].get<double>() - value), digits);
}

Json paired_json(const std::vector<double>& differences) {
  const Estimate over = estimate(differences);
  if (!(over.error > 0)) return {};
  return {{"points", over.mean},
          {"low", over.mean - over.half},
          {"high", over.mean + over.half},
          {"standard_error", over.error},
          {"standard_errors", over.mean / over.error}};
}

}  // namespace ridgewalk
