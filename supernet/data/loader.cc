#include "supernet/data/loader.h"

#include <ATen/Parallel.h>

#include <chrono>
#include <utility>

namespace ridgewalk {

DrawBatch in_order(BatchOrder order, uint64_t seed) {
  return [order, seed](int64_t number) mutable {
    return draws(order.indices(number), mix(seed, uint64_t(number)));
  };
}

int loader_threads(const ImageSet& set, const Augmentation& augmentation) {
  const bool light = set.paths.empty() && !augmentation.rand_augment;
  return light ? 0 : at::get_num_threads();
}

Loader::Loader(const Dataset& data, const ImageSet& set, Augmentation augmentation, DrawBatch draws,
               int threads, bool pinned)
    : data_(data),
      set_(set),
      augmentation_(std::move(augmentation)),
      draws_(std::move(draws)),
      threads_(threads),
      pinned_(pinned) {}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  room_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

Batch Loader::get(int64_t number) {
  if (threads_ == 0) return made(draws_(number));
  std::unique_lock lock(mutex_);
  if (number != wanted_ || workers_.empty()) {
    ++generation_;
    made_.clear();
    next_ = number;
  }
  while (int(workers_.size()) < threads_) workers_.emplace_back([this] { work(); });
  wanted_ = number;
  room_.notify_all();
  ready_.wait(lock, [&] { return made_.contains(number); });
  Made made = std::move(made_.extract(number).mapped());
  wanted_ = number + 1;
  room_.notify_all();
  if (made.error) std::rethrow_exception(made.error);
  return std::move(made.batch);
}

Batch Loader::made(const std::vector<Draw>& draws) {
  Made made = make(draws, true);
  if (made.error) std::rethrow_exception(made.error);
  return std::move(made.batch);
}

Loader::Made Loader::make(const std::vector<Draw>& draws, bool parallel) {
  const auto start = std::chrono::steady_clock::now();
  Made made;
  try {
    Batch& batch = made.batch = make_batch(data_, set_, draws, augmentation_, parallel);
    if (pinned_) {
      for (torch::Tensor* tensor : {&batch.images, &batch.labels, &batch.targets}) {
        if (tensor->defined()) *tensor = tensor->pin_memory();
      }
    }
  } catch (...) {
    made.error = std::current_exception();
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::lock_guard lock(mutex_);
  images_ += int64_t(draws.size());
  busy_seconds_ += seconds;
  return made;
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    // One batch for each thread and one more: a batch may be 100 MB.
    room_.wait(lock, [&] { return stop_ || next_ <= wanted_ + threads_; });
    if (stop_) return;
    const int64_t number = next_++;
    const int64_t generation = generation_;
    Made made;
    try {
      const std::vector<Draw> draws = draws_(number);
      lock.unlock();
      made = make(draws, false);
      lock.lock();
    } catch (...) {
      made.error = std::current_exception();
    }
    if (generation != generation_) continue;
    made_.emplace(number, std::move(made));
    ready_.notify_one();
  }
}

double Loader::images_per_second() const {
  const std::lock_guard lock(mutex_);
  if (busy_seconds_ == 0) return 0;
  return double(images_) / busy_seconds_ * std::max(1, threads_);
}

}  // namespace ridgewalk
