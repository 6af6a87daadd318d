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
  double label_smoothing = 0;      // of hard labels; a teacher's labels are soft already
  Distillation distillation = {};
  uint64_t order_seed = 0, draw_seed = 0;
  int64_t shards = 1;  // a batch is cut into so many, which are numbered on: n * shards + shard
  // Of so many consecutive numbers, those of a step, a process of a group that reads ahead asks for
  // those whose place in the step is dealt() to it.
  int64_t per_step = 1;
};

// Batch `number` is a function of the options and the number. With distilled labels epoch e uses
// replica e mod replicas.
class TrainingBatches {
 public:
  // Throws Error when labels or teacher are not for these data.
  TrainingBatches(const Dataset& data, const BatchOptions& options, const Compute& compute);

  Batch batch(int64_t number) { return finished(begun(number)); }

  // batch() in two steps, for lanes: batches are begun by one thread, in order, and may then be
  // finished by several at once.
  struct Begun {
    int64_t number = 0;
    Batch batch = {};              // where it was read ahead
    std::vector<Draw> draws = {};  // where it was not, or targets depend on them
  };
  Begun begun(int64_t number);
  Batch finished(Begun begun);

  int64_t per_epoch() const { return per_epoch_; }  // batches, whatever the shards
  // Whether threads make batches before they are asked for.
  bool reads_ahead() const { return reads_ahead_; }
  // For classification_loss(): 0 where the targets are smooth already, and the temperature of
  // distilled labels.
  double label_smoothing() const { return options_.distillation ? 0 : options_.label_smoothing; }
  double temperature() const {
    const auto& labels = options_.distillation.labels;
    return labels ? labels->temperature : 1;
  }

  const Loader& loader() const { return loader_; }
  // What the labels' or the batches' teacher has learned, if there is one.
  std::vector<LearnedImages> learned_by_teacher() const;

  // batch() is make_batch() of draws(), then set_targets().
  std::vector<Draw> draws(int64_t number) { return draws_(number); }
  // Replaces the targets by a teacher's soft labels, if there is a teacher.
  void set_targets(Batch& batch, std::span<const Draw> draws, int64_t number) const;

 private:
  const Dataset& data_;
  BatchOptions options_;
  int64_t per_epoch_;
  bool reads_ahead_, is_dealt_;
  int64_t first_, stride_;  // of a step's numbers, those that the loader makes
  DrawBatch draws_;         // the loader's threads have one of their own
  std::optional<Teacher> teacher_;
  Loader loader_;

  int64_t own_per_step() const { return (options_.per_step - first_ + stride_ - 1) / stride_; }
};

}  // namespace ridgewalk
