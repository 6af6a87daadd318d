// One block of memory for values whose lifetimes are known beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ridgewalk {

// Bytes that are in use from one moment to another, both included.
struct Tenancy {
  size_t bytes = 0;
  int64_t first = 0, last = -1;
};

// Where in a block each value lies, so that no two overlap while both live.
struct Placement {
  std::vector<size_t> offsets;
  size_t bytes = 0;  // of the block
};
Placement place(const std::vector<Tenancy>& values);

// A block from a pool that all threads share, to which it returns: steps that follow each other
// find the memory of the last one, already mapped.
class Arena {
 public:
  explicit Arena(size_t bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  std::byte* at(size_t offset) const;

  struct Block;

 private:
  std::unique_ptr<Block> block_;
};

}  // namespace ridgewalk
