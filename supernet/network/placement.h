// Where in one piece of memory values lie that do not all live at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ridgewalk {

// Bytes that are in use from one moment to another, both included.
struct Tenancy {
  size_t bytes = 0;
  int64_t first = 0, last = -1;
};

inline constexpr size_t kPlacementAlignment = 64;  // of every offset

struct Placement {
  std::vector<size_t> offsets;  // one per value; of what has no bytes or no moments 0
  size_t bytes = 0;             // of the whole piece
};

// No two values overlap while both live. The largest come first; while that wastes something, up to
// `tries` other orders are tried.
Placement place(const std::vector<Tenancy>& values, int tries = 0);

}  // namespace ridgewalk
