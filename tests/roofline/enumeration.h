// All networks of a small space, one by one.
#pragma once

#include <algorithm>
#include <vector>

#include "roofline/cost_table.h"
#include "tests/helpers.h"

namespace ridgewalk {

// What a table says that a space can reach is the least and the most that its networks take, and
// the member that it gives takes the least.
inline void expect_enumerated_reach(const SearchSpace& space,
                                    const std::vector<LatencyModel>& models) {
  const CostTable table(space, models);
  std::vector<Macs> lowest(models.size(), {1e300}), highest(models.size());
  for_each_raw_decisions(space, [&](const Decisions& decisions) {
    const std::vector<Macs> price = table.price(decisions);
    for (size_t m = 0; m < models.size(); ++m) {
      lowest[m] = std::min(lowest[m], price[m]);
      highest[m] = std::max(highest[m], price[m]);
    }
  });
  const std::vector<CostTable::Range> reachable = table.reachable();
  for (size_t m = 0; m < models.size(); ++m) {
    EXPECT_EQ(reachable[m].lowest, lowest[m]) << to_string(models[m].resource);
    EXPECT_EQ(reachable[m].highest, highest[m]) << to_string(models[m].resource);
    EXPECT_EQ(prices(lower(decode(space, reachable[m].least)), models)[m], lowest[m])
        << to_string(models[m].resource);
  }
}

}  // namespace ridgewalk
