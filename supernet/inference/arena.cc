#include "supernet/inference/arena.h"

#include <algorithm>
#include <numeric>

namespace ridgewalk {
namespace {

size_t aligned(size_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}
bool live_together(const ArenaValue& a, const ArenaValue& b) {
  return a.first <= b.last && b.first <= a.last;
}
size_t end_of(const ArenaValue& value) { return value.offset + value.bytes; }

// In this order, each at the lowest offset that is free while it lives.
size_t place_in_order(const std::vector<size_t>& order, std::vector<ArenaValue>& values) {
  size_t end = 0;
  std::vector<const ArenaValue*> placed;  // by offset
  for (const size_t i : order) {
    ArenaValue& value = values[i];
    value.offset = 0;
    for (const ArenaValue* other : placed) {
      if (!live_together(*other, value)) continue;
      if (end_of(value) <= other->offset) break;
      value.offset = std::max(value.offset, aligned(end_of(*other)));
    }
    end = std::max(end, end_of(value));
    const auto by_offset = [](const ArenaValue* a, const ArenaValue* b) {
      return a->offset < b->offset;
    };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &value, by_offset), &value);
  }
  return end;
}

}  // namespace

size_t most_live_bytes(const std::vector<ArenaValue>& values) {
  size_t most = 0;
  for (const ArenaValue& start : values) {
    size_t live = 0;
    for (const ArenaValue& value : values) {
      if (value.first <= start.first && start.first <= value.last) live += value.bytes;
    }
    most = std::max(most, live);
  }
  return most;
}

// The largest first; then, while that wastes something, the one that ended highest before all
// others.
size_t place(std::vector<ArenaValue>& values) {
  constexpr int kTries = 64;
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a].bytes > values[b].bytes; });
  const size_t least = most_live_bytes(values) * 101 / 100;  // alignment costs a little
  size_t end = place_in_order(order, values);
  std::vector<ArenaValue> tried = values;
  for (int i = 0; i < kTries && end > least; ++i) {
    const auto highest = std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) {
      return end_of(tried[a]) < end_of(tried[b]);
    });
    std::rotate(order.begin(), highest, highest + 1);
    const size_t end_of_try = place_in_order(order, tried);
    if (end_of_try < end) end = end_of_try, values = tried;
  }
  return end;
}

}  // namespace ridgewalk
