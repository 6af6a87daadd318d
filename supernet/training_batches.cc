#include "supernet/training_batches.h"

namespace ridgewalk {

TrainingBatches::TrainingBatches(const Dataset& data, const BatchOptions& options,
                                 const Machine& machine)
    : data_(data), options_(options), order_(data.train.size(), options.size, options.order_seed) {
  const Distillation& distillation = options.distillation;
  if (distillation.labels) require_same_split(*distillation.labels, data);
  if (distillation.teacher) teacher_.emplace(*distillation.teacher, data, machine);
}

int64_t TrainingBatches::replica(int64_t number) const {
  return number / per_epoch() % options_.distillation.labels->replicas;
}

std::vector<Draw> TrainingBatches::draws(int64_t number) {
  const std::vector<int64_t> images = order_.indices(number);
  const auto& labels = options_.distillation.labels;
  if (!labels) return ridgewalk::draws(images, mix(options_.draw_seed, uint64_t(number)));
  std::vector<Draw> list;
  for (int64_t image : images) list.push_back(labels->draw(image, replica(number)));
  return list;
}

void TrainingBatches::set_targets(Batch& batch, std::span<const Draw> draws, int64_t number) const {
  const Distillation& distillation = options_.distillation;
  if (distillation.labels) batch.targets = distillation.labels->targets(draws, replica(number));
  if (!teacher_) return;
  const double weight = distillation.teacher->weight;
  torch::Tensor soft = teacher_->soft_labels(batch.images);
  if (weight < 1) {
    const torch::Tensor hard = batch.targets.defined()
                                   ? batch.targets
                                   : torch::one_hot(batch.labels, data_.classes).to(torch::kFloat);
    const double smoothing = options_.label_smoothing;
    soft =
        weight * soft + (1 - weight) * ((1 - smoothing) * hard + smoothing / double(data_.classes));
  }
  batch.targets = soft;
}

Batch TrainingBatches::batch(int64_t number) {
  const std::vector<Draw> list = draws(number);
  Batch batch = make_batch(data_, data_.train, list, options_.augmentation);
  set_targets(batch, list, number);
  return batch;
}

}  // namespace ridgewalk
