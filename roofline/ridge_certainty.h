// How well the latencies of some networks determine a ridge point.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "roofline/fit.h"
#include "roofline/intervals.h"

namespace ridgewalk {

// Fewer networks determine no ridge point.
inline constexpr size_t kFewestForRidge = 6;

// The 90 % interval of a fitted ridge point: up to 100 networks from fits of resamples
// (widened_percentile_interval), above from fits that leave out a twentieth each (the jackknife
// over groups). There is none with fewer than kFewestForRidge networks, or where all these fits
// agree to four digits. The data determine the ridge point where the ends are within a factor of
// two and neither is an end of the search.
struct RidgeCertainty {
  std::optional<Interval> interval;
  bool is_determined = false;
};
RidgeCertainty ridge_certainty(std::span<const Measured> rows, const FitTerms& terms,
                               uint64_t seed);

}  // namespace ridgewalk
