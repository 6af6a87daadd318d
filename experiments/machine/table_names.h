// Names of networks in a table of measurements.
#pragma once

#include <string>
#include <vector>

#include "space/architecture.h"

namespace ridgewalk {

// One name per network for the column `network` of a table in `folder`, which `fit` finds from
// there: the catalogue's, where it has this very network; members/NAME.yaml, where that holds it;
// otherwise networks/NAME.yaml, which is written. Throws Error when it cannot be.
std::vector<std::string> names_in_table(const std::vector<Architecture>& networks,
                                        const std::string& folder);

}  // namespace ridgewalk
