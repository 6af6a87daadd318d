// A supernet: all architectures of a space in one set of weights.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "space/names.h"
#include "supernet/formats/slices.h"
#include "supernet/training/train.h"

namespace ridgewalk {

// Which passes of sampled networks are rounded as int8 would round them (batch_rounding.h).
//   judged: those that accuracy() and validate() count, so that what is quantised well wins.
//   trained: those that train the shared weights, too, which then learn to be rounded.
enum class Quantized { kOff, kJudged, kTrained };
template <>
inline constexpr auto kNames<Quantized> = name_table<Quantized>(
    "way of quantising",
    {{Quantized::kOff, "off"}, {Quantized::kJudged, "judged"}, {Quantized::kTrained, "trained"}});

struct SupernetOptions {
  int steps = 1000;
  int samples_per_step = 1;         // that train() is called with; only a group counts on it
  int batch_size = 64;              // training images per sampled architecture
  int validation_batch_size = 128;  // search-validation images per step
  OptimizerOptions optimizer = {};
  double label_smoothing = 0.1;
  Augmentation augmentation = {};
  Distillation distillation = {};
  uint64_t seed = 0;
  Quantized quantized = Quantized::kOff;
  // Decay of the average of the shared weights that samples are judged with and that is kept as the
  // result (update_average()); 0: none.
  double ema = 0;
  // All samples of a step are trained on one batch, and all but the first on the soft labels that
  // the first gives it: in-place distillation (Yu and Huang 2019, arXiv 1903.05134).
  bool distils_in_place = false;
  // validate() judges with the statistics of so many training images, those of batches of
  // validation_batch_size averaged, in the place of each validation batch's own; 0: with its own.
  int calibration_images = 0;
  std::string start = {};  // safetensors of a network that start_from() takes slices of; or empty
};

// Batch norm uses the statistics of the batch, so that no sampled architecture needs statistics of
// its own (TuNAS, "stateless batch norm"), unless calibration_images asks for those of validate().
class Supernet {
 public:
  // Throws Error when the distillation does not fit these data, or where networks that are
  // quantised should be calibrated.
  Supernet(const SearchSpace& space, const Dataset& data, const SupernetOptions& options,
           const Compute& compute);

  // Starts from the weights of a network in timm's naming, where names and kernels agree: a
  // published checkpoint, or one that this program trained. Its classifier is taken where it has
  // the same classes. Throws Error for a file that does not fit, or that has learned images that
  // are held out here.
  struct Start {
    SlicesTaken taken;
    std::vector<LearnedImages> learned;
  };
  Start start_from(const std::string& path);

  // One optimiser step: each sample on its own training batch, gradients averaged. The samples are
  // shared out to the processes of a group and run in lanes. Returns the mean loss; if it is not
  // finite, nothing was updated.
  double train(int step, std::span<const Decisions> samples);
  // Of each sample, in [0, 1], all on the same batch of search-validation images. Throws Error when
  // none of these can be decoded.
  std::vector<double> accuracy(int step, std::span<const Decisions> samples);
  // On the whole search-validation split, batch statistics of validation_batch_size images, or
  // those of calibration_images.
  Accuracy validate(const Decisions& sample);
  // The same, rounded as int8 would be, whatever the options say. Not with calibration_images.
  Accuracy validate_rounded(const Decisions& sample);

  NamedTensors state();
  // Of the weights, which started from others that had learned `before`.
  Provenance provenance(std::vector<LearnedImages> before) const;
  // What training updates; a start or the weights of a file go there.
  ParameterStore& parameters() { return parameters_; }
  // What samples are judged with: the average of all steps so far where there is one.
  ParameterStore& judged_parameters() { return average_ ? *average_ : parameters_; }

  // Time spent on binding samples to slices, and on the steps as a whole.
  double slicing_seconds() const { return slicing_seconds_; }
  double step_seconds() const { return step_seconds_; }
  const Loader& loader() const { return batches_.loader(); }

 private:
  ParameterStore& average();
  Executor bind(const Decisions& sample, ParameterStore& parameters, size_t leaves = 0);
  Accuracy validate(const Decisions& sample, bool is_rounded);
  const std::vector<Executor>& bind_all(std::span<const Decisions> samples, bool is_rounded);
  void calibrate(Graph graph);
  std::vector<Executor> bind_judged(std::span<const Decisions> samples, bool is_rounded);
  Batch validation_batch(int step);
  struct Trained {
    torch::Tensor loss, logits;
  };
  struct Lesson;
  Trained add_gradients(const Executor& network, const Lesson& lesson) const;
  std::vector<torch::Tensor> train_each(int step, const std::vector<Executor>& networks,
                                        const std::vector<int>& owners);
  std::vector<torch::Tensor> train_from_first(int step, const std::vector<Executor>& networks,
                                              const std::vector<int>& owners);
  std::vector<int> owners(const std::vector<Executor>& networks, bool with_batches) const;
  bool rounds_judged() const { return options_.quantized != Quantized::kOff; }
  bool is_own(int owner) const { return !compute_.group || owner == compute_.group->rank(); }

  SearchSpace space_;
  const Dataset& data_;
  SupernetOptions options_;
  Compute compute_;
  ParameterStore parameters_;
  std::optional<ParameterStore> average_;  // from the first step on
  Optimizer optimizer_;
  TrainingBatches batches_;
  BatchOrder validation_order_;
  // The last samples that were bound, each to leaves of its own: they are judged after they were
  // trained.
  std::vector<Decisions> bound_samples_ = {};
  std::vector<Executor> bound_ = {};
  double slicing_seconds_ = 0;
  double step_seconds_ = 0;
};

}  // namespace ridgewalk
