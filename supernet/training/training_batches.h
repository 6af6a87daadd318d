// The training batches of a network or of shared weights, by number.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "supernet/data/loader.h"
#include "supernet/training/distillation.h"

namespace ridgewalk {

struct BatchOptions {
  int64_t size = 128;
  Augmentation augmentation = {};  // with distilled labels: theirs
  double label_smoothing = 0;      // of hard labels; a teacher's are soft already
  Distillation distillation = {};
  uint64_t order_seed = 0, draw_seed = 0;
};

// Batch `number` depends on nothing but the options and the number. Where labels are distilled,
// epoch e has their replica e mod replicas.
class TrainingBatches {
 public:
  // Throws Error when labels or teacher are not for these data.
  TrainingBatches(const Dataset& data, const BatchOptions& options, const Compute& compute);

  Batch batch(int64_t number);
  int64_t per_epoch() const { return per_epoch_; }
  // As classification_loss() is to be given it: 0 where the targets are smooth already.
  double label_smoothing() const { return options_.distillation ? 0 : options_.label_smoothing; }

  const Loader& loader() const { return loader_; }

  // batch() is make_batch() of draws(), then set_targets().
  std::vector<Draw> draws(int64_t number) { return draws_(number); }
  // Makes a teacher's soft labels the targets; without one it does nothing.
  void set_targets(Batch& batch, std::span<const Draw> draws, int64_t number) const;

 private:
  const Dataset& data_;
  BatchOptions options_;
  int64_t per_epoch_;
  DrawBatch draws_;  // the loader's threads have one of their own
  std::optional<Teacher> teacher_;
  Loader loader_;
};

}  // namespace ridgewalk
