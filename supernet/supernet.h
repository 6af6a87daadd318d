// All architectures of a space in one set of weights.
#pragma once

#include <span>
#include <vector>

#include "supernet/training/train.h"

namespace ridgewalk {

struct SupernetOptions {
  int steps = 1000;
  int batch_size = 64;              // training images a sampled architecture
  int validation_batch_size = 128;  // search-validation images a step
  OptimizerOptions optimizer = {};
  double label_smoothing = 0.1;
  Augmentation augmentation = {};
  Distillation distillation = {};
  uint64_t seed = 0;
};

// Batch norm uses the statistics of the batch throughout, so no sampled architecture needs
// statistics of its own (TuNAS, "stateless batch norm").
class Supernet {
 public:
  // Throws Error when the distillation is not of these data.
  Supernet(const SearchSpace& space, const Dataset& data, const SupernetOptions& options,
           const Compute& compute);

  // One optimiser step: each sample on its own training batch, gradients averaged. Returns the mean
  // loss, which may be not finite: then nothing was updated.
  double train(int step, std::span<const Decisions> samples);
  // Each sample on the same batch of search-validation images. In [0, 1].
  std::vector<double> accuracy(int step, std::span<const Decisions> samples);
  // On the whole search-validation split, batch statistics of validation_batch_size images.
  Accuracy validate(const Decisions& sample);

  NamedTensors state() const;
  ParameterStore& parameters() { return parameters_; }

  // What the last training steps spent on binding samples to slices and in all.
  double slicing_seconds() const { return slicing_seconds_; }
  double step_seconds() const { return step_seconds_; }
  const Loader& loader() const { return batches_.loader(); }

 private:
  Executor bind(const Decisions& sample);

  SearchSpace space_;
  const Dataset& data_;
  SupernetOptions options_;
  Compute compute_;
  ParameterStore parameters_;
  Optimizer optimizer_;
  TrainingBatches batches_;
  BatchOrder validation_order_;
  double slicing_seconds_ = 0;
  double step_seconds_ = 0;
};

}  // namespace ridgewalk
