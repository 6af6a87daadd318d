// Blocks of memory for the values of a training step (placement.h says where in them).
#pragma once

#include <cstddef>
#include <memory>

namespace ridgewalk {

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
