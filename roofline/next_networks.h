// Which networks to measure next.
#pragma once

#include <span>
#include <vector>

#include "roofline/fit.h"

namespace ridgewalk {

// A candidate, and to what share of its width now the interval of the ridge point would shrink with
// its measurement and those of the suggestions before it.
struct Suggestion {
  size_t candidate = 0;
  double share = 1;
};

// Up to `count` of the candidates, each the one that narrows the ridge point's interval most beside
// those before it: by the variance of log ridge point in the fit's linear approximation (c-optimal
// design: Fedorov, Theory of optimal experiments, 1972), whose figures are known beforehand to a
// factor of about twenty.
std::vector<Suggestion> next_networks(std::span<const Measured> rows, const Fit& fit,
                                      const FitTerms& terms,
                                      std::span<const NetworkWork> candidates, size_t count);

}  // namespace ridgewalk
