#include "supernet/training/training_batches.h"

#include <utility>

namespace ridgewalk {
namespace {

// Of the labels that batch `number` has.
int64_t replica_of(int64_t number, int64_t batches_per_epoch, const DistilledLabels& labels) {
  return number / batches_per_epoch % labels.replicas;
}

DrawBatch draws_of(const BatchOptions& options, BatchOrder order) {
  const auto labels = options.distillation.labels;
  if (!labels) return in_order(std::move(order), options.draw_seed);
  return [order = std::move(order), labels](int64_t number) mutable {
    const int64_t replica = replica_of(number, order.batches_per_epoch(), *labels);
    std::vector<Draw> list;
    for (int64_t image : order.indices(number)) list.push_back(labels->draw(image, replica));
    return list;
  };
}

}  // namespace

TrainingBatches::TrainingBatches(const Dataset& data, const BatchOptions& options,
                                 const Compute& compute)
    : data_(data),
      options_(options),
      per_epoch_(
          BatchOrder(data.train.size(), options.size, options.order_seed).batches_per_epoch()),
      draws_(draws_of(options, {data.train.size(), options.size, options.order_seed})),
      loader_(data, data.train, options.augmentation, draws_,
              compute.loader_threads.value_or(compute.lanes *
                                              loader_threads(data.train, options.augmentation)),
              compute.device.is_cuda()) {
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
    batch.targets = labels->targets(draws, replica_of(number, per_epoch_, *labels));
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
  Begun begun{.number = number, .batch = loader_.get(number)};
  if (options_.distillation) begun.draws = draws(number);
  return begun;
}

Batch TrainingBatches::finished(Begun begun) const {
  if (options_.distillation) set_targets(begun.batch, begun.draws, begun.number);
  return std::move(begun.batch);
}

}  // namespace ridgewalk
