// A judge that needs no shared weights: a regression on networks that are trained already.
#pragma once

#include <vector>

#include "roofline/intervals.h"
#include "space/decisions.h"

namespace ridgewalk {

// For each network a score that orders it among the others, the larger the better, by a ridge
// regression of all other networks' `values` over their decisions, each option of a choice an
// unknown (Hoerl and Kennard, 1970). The penalty is that of the least generalised cross-validation
// among the others (Golub, Heath and Wahba, 1979). `rows` says which networks are the same: these
// are left out together. The mean of the others is no part of the score: the better a network, the
// lower that of the rest.
std::vector<double> regression_on_others(const std::vector<Decisions>& networks,
                                         const std::vector<double>& values,
                                         const RowsOfNetworks& rows);

}  // namespace ridgewalk
