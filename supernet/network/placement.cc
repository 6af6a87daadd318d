#include "supernet/network/placement.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace ridgewalk {
namespace {

size_t aligned(size_t bytes) {
  return (bytes + kPlacementAlignment - 1) / kPlacementAlignment * kPlacementAlignment;
}

// What is used at one moment, at most: no piece is smaller.
size_t most_live_bytes(const std::vector<Tenancy>& values, const std::vector<size_t>& order) {
  size_t most = 0;
  for (size_t start : order) {
    size_t live = 0;
    for (size_t i : order) {
      const bool lives =
          values[i].first <= values[start].first && values[start].first <= values[i].last;
      if (lives) live += values[i].bytes;
    }
    most = std::max(most, live);
  }
  return most;
}

// In this order, each at the lowest offset that is free while it lives.
Placement place_in_order(const std::vector<size_t>& order, const std::vector<Tenancy>& values) {
  Placement placement{.offsets = std::vector<size_t>(values.size(), 0)};
  std::vector<size_t> placed;  // by offset
  for (size_t one : order) {
    const Tenancy& own = values[one];
    size_t offset = 0;
    for (size_t other : placed) {
      if (values[other].last < own.first || own.last < values[other].first) continue;
      if (offset + own.bytes <= placement.offsets[other]) break;
      offset = std::max(offset, aligned(placement.offsets[other] + values[other].bytes));
    }
    placement.offsets[one] = offset;
    placement.bytes = std::max(placement.bytes, offset + own.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), one,
                                   [&](size_t a, size_t b) {
                                     return placement.offsets[a] < placement.offsets[b];
                                   }),
                  one);
  }
  return placement;
}

}  // namespace

Placement place(const std::vector<Tenancy>& values, int tries) {
  std::vector<size_t> order;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].bytes > 0 && values[i].first <= values[i].last) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a].bytes > values[b].bytes; });
  Placement best = place_in_order(order, values);
  if (tries == 0) return best;
  const size_t least = most_live_bytes(values, order) * 101 / 100;  // alignment costs a little
  Placement tried = best;
  for (int i = 0; i < tries && best.bytes > least; ++i) {
    // First the one that ended highest.
    const auto highest = std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) {
      return tried.offsets[a] + values[a].bytes < tried.offsets[b] + values[b].bytes;
    });
    std::rotate(order.begin(), highest, highest + 1);
    tried = place_in_order(order, values);
    if (tried.bytes < best.bytes) best = tried;
  }
  return best;
}

}  // namespace ridgewalk
