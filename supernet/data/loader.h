// Training batches made ahead, on threads of their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "supernet/data/batch.h"

namespace ridgewalk {

// The examples of batch `number`.
using DrawBatch = std::function<std::vector<Draw>(int64_t number)>;

// Batches in the order of a set, the draws of batch n with the seed mix(seed, n).
DrawBatch in_order(BatchOrder order, uint64_t seed);

// Threads that keep up with training on all of LibTorch's: as many where images are decoded or
// heavily augmented, none for images in memory that are only shifted or flipped.
int loader_threads(const ImageSet& set, const Augmentation& augmentation);

// The batches are the same for any number of threads. Threads start at the first get().
class Loader {
 public:
  // `set` belongs to `data`; both must outlive the loader. Without threads get() makes its batch
  // itself, on all of LibTorch's. `draws` is called by one thread at a time. `pinned` batches lie
  // in memory that a GPU copies from while the CPU goes on.
  Loader(const Dataset& data, const ImageSet& set, Augmentation augmentation, DrawBatch draws,
         int threads, bool pinned = false);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Batch `number`; while the caller uses it, the next ones are made. Batches made ahead are
  // dropped when `number` does not follow the last one. Rethrows what making the batch threw.
  Batch get(int64_t number);
  // Of these draws, made by the calling thread; several may call it at once.
  Batch made(const std::vector<Draw>& draws);

  // The throughput of the loader alone: images made over the time that the threads were busy.
  double images_per_second() const;

 private:
  struct Made {
    Batch batch;
    std::exception_ptr error;
  };

  Made make(const std::vector<Draw>& draws, bool parallel);
  void work();

  const Dataset& data_;
  const ImageSet& set_;
  const Augmentation augmentation_;
  const DrawBatch draws_;
  const int threads_;
  const bool pinned_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable room_, ready_;
  bool stop_ = false;
  int64_t wanted_ = 0;      // the number that get() is expected to ask for
  int64_t next_ = 0;        // the first number that no thread has taken
  int64_t generation_ = 0;  // of numbers: changes when get() asks for another than wanted_
  std::map<int64_t, Made> made_;
  int64_t images_ = 0;
  double busy_seconds_ = 0;

  std::vector<std::thread> workers_;
};

}  // namespace ridgewalk
