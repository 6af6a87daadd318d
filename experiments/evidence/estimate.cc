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
          {"low", number_or_null(e.low())},
          {"high", number_or_null(e.high())}};
}

std::string estimate_text(const Estimate& e, double scale, int digits) {
  if (!std::isfinite(e.mean)) return "-";
  if (!std::isfinite(e.half)) return fmt::format("{:.{}f}", scale * e.mean, digits);
  return fmt::format("{:.{}f} ± {:.{}f}", scale * e.mean, digits, scale * (e.high() - e.mean),
                     digits);
}

std::optional<Estimate> paired_estimate(const std::vector<double>& differences) {
  const Estimate difference = estimate(differences);
  if (!(difference.error > 0)) return std::nullopt;
  return difference;
}

Json paired_json(const Estimate& difference) {
  return {{"points", difference.mean},
          {"low", difference.low()},
          {"high", difference.high()},
          {"standard_error", difference.error},
          {"standard_errors", difference.mean / difference.error}};
}

}  // namespace ridgewalk
