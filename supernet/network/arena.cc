#include "supernet/network/arena.h"

#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <sys/mman.h>

namespace ridgewalk {

namespace {
constexpr size_t kPage = size_t{1} << 21;  // a huge page

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }
}  // namespace

struct Arena::Block {
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte, Free> bytes;
  size_t size = 0;
};

namespace {

struct Pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<Arena::Block>> blocks;
};

Pool& blocks_of_all() {
  static Pool blocks;
  return blocks;
}

}  // namespace

Arena::Arena(size_t bytes) {
  {
    const std::lock_guard lock(blocks_of_all().mutex);
    if (!blocks_of_all().blocks.empty()) {
      block_ = std::move(blocks_of_all().blocks.back());
      blocks_of_all().blocks.pop_back();
    }
  }
  if (!block_) block_ = std::make_unique<Block>();
  if (block_->size >= bytes) return;
  block_->bytes.reset();
  block_->size = rounded(bytes, kPage);
  block_->bytes.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, block_->size)));
  if (!block_->bytes) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  madvise(block_->bytes.get(), block_->size, MADV_HUGEPAGE);
#endif
}

Arena::~Arena() {
  const std::lock_guard lock(blocks_of_all().mutex);
  blocks_of_all().blocks.push_back(std::move(block_));
}

std::byte* Arena::at(size_t offset) const { return block_->bytes.get() + offset; }

}  // namespace ridgewalk
