#include "supernet/training/training_batches.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace ridgewalk {
namespace {

// Of the labels that batch `number` has.
int64_t replica_of(int64_t number, int64_t batches_per_epoch, const DistilledLabels& labels) {
  return number / batches_per_epoch % labels.replicas;
}

DrawBatch draws_of_batches(const BatchOptions& options, BatchOrder order) {
  const auto labels = options.distillation.labels;
  if (!labels) return in_order(std::move(order), options.draw_seed);
  return [order = std::move(order), labels](int64_t number) mutable {
    const int64_t replica = replica_of(number, order.batches_per_epoch(), *labels);
    std::vector<Draw> list;
    for (int64_t image : order.indices(number)) list.push_back(labels->draw(image, replica));
    return list;
  };
}

DrawBatch draws_of(const BatchOptions& options, const BatchOrder& order) {
  const DrawBatch whole = draws_of_batches(options, order);
  const int64_t shards = options.shards;
  if (shards == 1) return whole;
  return [whole, shards](int64_t number) {
    const std::vector<Draw> all = whole(number / shards);
    const int64_t shard = number % shards, count = int64_t(all.size());
    return std::vector<Draw>(all.begin() + shard * count / shards,
                             all.begin() + (shard + 1) * count / shards);
  };
}

int threads_ahead(const Dataset& data, const Augmentation& augmentation, const Compute& compute) {
  return compute.loader_threads.value_or(compute.lanes * loader_threads(data.train, augmentation));
}

}  // namespace

TrainingBatches::TrainingBatches(const Dataset& data, const BatchOptions& options,
                                 const Compute& compute)
    : data_(data),
      options_(options),
      per_epoch_(
          BatchOrder(data.train.size(), options.size, options.order_seed).batches_per_epoch()),
      reads_ahead_(threads_ahead(data, options.augmentation, compute) > 0),
      is_dealt_(reads_ahead_ && compute.group && options.per_step > 1),
      first_(is_dealt_ ? compute.group->rank() : 0),
      stride_(is_dealt_ ? compute.group->size() : 1),
      draws_(draws_of(options, {data.train.size(), options.size, options.order_seed})),
      // The loader counts the numbers that this process asks for.
      loader_(
          data, data.train, options.augmentation,
          [draws = draws_, first = first_, stride = stride_, step = options.per_step,
           own = std::max<int64_t>(1, own_per_step())](int64_t n) {
            return draws(n / own * step + first + n % own * stride);
          },
          threads_ahead(data, options.augmentation, compute), compute.device.is_cuda()) {
  const Distillation& distillation = options.distillation;
  if (distillation.labels) require_same_split(*distillation.labels, data);
  if (distillation.teacher) teacher_.emplace(*distillation.teacher, data, compute);
}

std::vector<LearnedImages> TrainingBatches::learned_by_teacher() const {
  if (options_.distillation.labels) return options_.distillation.labels->learned;
  return teacher_ ? teacher_->learned() : std::vector<LearnedImages>{};
}

void TrainingBatches::set_targets(Batch& batch, std::span<const Draw> draws, int64_t number) const {
  const Distillation& distillation = options_.distillation;
  if (const auto& labels = distillation.labels) {
    batch.targets =
        labels->targets(draws, replica_of(number, per_epoch_ * options_.shards, *labels));
  }
  if (!teacher_) return;
  const double weight = distillation.teacher->weight;
  torch::Tensor soft = teacher_->soft_labels(batch.images);
  if (weight < 1) {
    const torch::Tensor hard = batch.targets.defined()
                                   ? batch.targets
                                   : torch::one_hot(batch.labels, data_.classes).to(torch::kFloat);
    const double smoothing = options_.label_smoothing;
    const torch::Tensor smooth = (1 - smoothing) * hard + smoothing / double(data_.classes);
    soft = weight * soft + (1 - weight) * smooth.to(soft.device());
  }
  batch.targets = soft;
}

TrainingBatches::Begun TrainingBatches::begun(int64_t number) {
  const int64_t step = options_.per_step;
  const int64_t of_step = number % step - first_;
  if (of_step < 0 || of_step % stride_ != 0) {
    throw std::logic_error("another process of the group makes this batch");
  }
  Begun begun{.number = number};
  if (reads_ahead_) begun.batch = loader_.get(number / step * own_per_step() + of_step / stride_);
  if (!reads_ahead_ || options_.distillation) begun.draws = draws(number);
  return begun;
}

Batch TrainingBatches::finished(Begun begun) {
  if (!reads_ahead_) begun.batch = loader_.made(begun.draws);
  if (options_.distillation) set_targets(begun.batch, begun.draws, begun.number);
  return std::move(begun.batch);
}

}  // namespace ridgewalk
