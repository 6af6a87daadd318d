// One piece of memory for values that do not all live at once.
#pragma once

#include <cstddef>
#include <vector>

namespace ridgewalk {

// Bytes that are used from one step to another, both included.
struct ArenaValue {
  size_t bytes = 0;
  int first = 0, last = 0;
  size_t offset = 0;  // set by place(): a multiple of kArenaAlignment
};
inline constexpr size_t kArenaAlignment = 64;

// What is used during one step, at most: no arena is smaller.
size_t most_live_bytes(const std::vector<ArenaValue>& values);

// Gives each value bytes that no other has at the same time. Returns how long the arena is.
size_t place(std::vector<ArenaValue>& values);

}  // namespace ridgewalk
