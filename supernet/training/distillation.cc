#include "supernet/training/distillation.h"

#include <ATen/Parallel.h>

#include "space/error.h"
#include "space/lowering.h"
#include "supernet/data/loader.h"
#include "supernet/training/distill_rounds.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

constexpr int64_t kFewClasses = 32, kDefaultTopK = 16;

Architecture for_data(Architecture architecture, const Dataset& data) {
  architecture.channels = data.channels;
  architecture.classes = data.classes;
  return architecture;
}

DistilledLabels first_replicas(DistilledLabels labels, int64_t replicas) {
  labels.replicas = replicas;
  labels.probabilities = labels.probabilities.narrow(0, 0, replicas);
  if (labels.classes.defined()) labels.classes = labels.classes.narrow(0, 0, replicas);
  return labels;
}

}  // namespace

Teacher::Teacher(const TeacherOptions& options, const Dataset& data, const Compute& compute)
    : name_(options.architecture.name),
      weights_(options.weights),
      compute_(compute),
      network_(load_network(options.weights, lower(for_data(options.architecture, data)),
                            compute.device)),
      executor_(network_.graph, network_.parameters) {
  if (!network_.provenance) return;
  require_same_classes(*network_.provenance, weights_, data);
  require_unseen(network_.provenance->learned, weights_, data);
  Dataset own = data;
  normalize_as(*network_.provenance, own);
  if (own.mean == data.mean && own.deviation == data.deviation) return;
  scale_ = torch::empty({1, data.channels, 1, 1});
  shift_ = torch::empty_like(scale_);
  for (int c = 0; c < data.channels; ++c) {
    const size_t channel = size_t(c);
    scale_[0][c] = data.deviation[channel] / own.deviation[channel];
    shift_[0][c] = (data.mean[channel] - own.mean[channel]) / own.deviation[channel];
  }
}

torch::Tensor Teacher::soft_labels(const torch::Tensor& images, double temperature) const {
  at::NoGradGuard no_grad;
  const Autocast autocast(compute_.precision, compute_.device);
  const torch::Tensor own = scale_.defined() ? images * scale_ + shift_ : images;
  const auto logits =
      executor_.forward(network_input(own, network_.graph, compute_.device), NormMode::kRunning);
  return torch::softmax(logits.to(torch::kFloat) / temperature, 1);
}

Accuracy Teacher::evaluate(const Dataset& data, const ImageSet& set) const {
  Dataset own = data;
  if (network_.provenance) normalize_as(*network_.provenance, own);
  return ridgewalk::evaluate(executor_, own, set, compute_, {});
}

uint64_t Teacher::hash() const {
  uint64_t hash = hash_of(network_.parameters.values().cpu());
  for (int number : {network_.graph.ops[0].output.height, network_.graph.ops[0].output.width,
                     int(compute_.device.type()), int(compute_.precision), at::get_num_threads()}) {
    hash = mix(hash, uint64_t(number));
  }
  if (scale_.defined()) hash = mix(mix(hash, hash_of(scale_)), hash_of(shift_));
  return hash;
}

namespace {

void check(const DistillOptions& options, const Dataset& data) {
  const auto in_range = [](int64_t number, int64_t low, int64_t high, const char* what) {
    if (number >= low && number <= high) return;
    throw Error(std::string(what) + " must be from " + std::to_string(low) + " to " +
                std::to_string(high));
  };
  in_range(options.replicas, 1, 1000000, "the number of replicas");
  in_range(options.top_k, 0, data.classes, "the number of classes kept of an image");
  in_range(data.classes, 2, kMostDistilledClasses, "the number of classes");
  if (!(options.temperature >= 0.01 && options.temperature <= 1000)) {
    throw Error("the temperature must be from 0.01 to 1000");
  }
}

// Probabilities kept of an image.
int64_t kept_classes(const Dataset& data, const DistillOptions& options) {
  const int64_t by_default = data.classes <= kFewClasses ? data.classes : kDefaultTopK;
  return options.top_k > 0 ? options.top_k : by_default;
}

// Room for all replicas, and what they are made from.
DistilledLabels empty_labels(const Teacher& teacher, const Dataset& data,
                             const DistillOptions& options) {
  DistilledLabels labels;
  labels.data = data.name;
  labels.images = data.train.size();
  labels.held_out = data.search_validation.size();
  labels.split_seed = options.split_seed;
  labels.split_hash = hash_of(data, data.train);
  if (!data.train.paths.empty()) {
    labels.resolution = data.resolution;
    labels.crop_fraction = data.crop_fraction;
  }
  labels.augmentation = options.augmentation_text;
  labels.seed = options.seed;
  labels.replicas = options.replicas;
  labels.number_of_classes = data.classes;
  labels.temperature = options.temperature;
  labels.teacher = teacher.name();
  labels.teacher_weights = teacher.weights();
  labels.teacher_hash = teacher.hash();
  labels.learned = teacher.learned();
  const Accuracy accuracy = teacher.evaluate(data, data.test);
  require_finite(accuracy, teacher.weights());
  labels.teacher_top1 = accuracy.top1;
  const int64_t k = kept_classes(data, options);
  labels.probabilities = torch::empty({options.replicas, labels.images, k}, torch::kHalf);
  if (k < data.classes) labels.classes = torch::empty_like(labels.probabilities, torch::kShort);
  return labels;
}

// Copies the replicas of an interrupted `distill`. Returns how many there are.
int64_t take_over(const DistilledLabels& so_far, DistilledLabels& labels) {
  if (so_far.replicas > labels.replicas || !have_same_source(so_far, labels) ||
      so_far.probabilities.size(2) != labels.probabilities.size(2)) {
    throw Error(so_far.path, 0,
                "holds labels of another teacher or other options; remove it to start again");
  }
  labels.probabilities.narrow(0, 0, so_far.replicas).copy_(so_far.probabilities);
  if (labels.classes.defined()) {
    labels.classes.narrow(0, 0, so_far.replicas).copy_(so_far.classes);
  }
  return so_far.replicas;
}

}  // namespace

double label_bytes(const Dataset& data, const DistillOptions& options) {
  const int64_t k = std::min<int64_t>(kept_classes(data, options), data.classes);
  const double bytes = k < data.classes ? 4 : 2;  // F16, and I16 for the class
  return double(options.replicas) * double(data.train.size()) * double(k) * bytes;
}

namespace {

// Labels a batch of the teacher's.
void label_batch(const Teacher& teacher, const Batch& batch, double temperature,
                 torch::Tensor probabilities, torch::Tensor classes) {
  torch::Tensor soft = teacher.soft_labels(batch.images, temperature);
  if (!soft.isfinite().all().item<bool>()) {
    throw Error(teacher.weights(), 0,
                "gives soft labels that are not finite; the weights are damaged or too large "
                "for the precision");
  }
  if (classes.defined()) {
    torch::Tensor ranked;
    std::tie(soft, ranked) = soft.topk(probabilities.size(1), 1);
    classes.copy_(ranked);
  }
  probabilities.copy_(soft);
}

}  // namespace

DistilledLabels distill(const Teacher& teacher, const Dataset& data, const DistillOptions& options,
                        int64_t batch_size, const DistillProgress& progress,
                        const DistilledLabels* so_far) {
  check(options, data);
  DistilledLabels labels = empty_labels(teacher, data, options);
  const int64_t done = so_far != nullptr ? take_over(*so_far, labels) : 0;  // replicas
  ProcessGroup* const group = teacher.compute().group.get();
  Rounds rounds{.images = labels.images, .batch_size = batch_size};
  if (group != nullptr) rounds.processes = group->size(), rounds.rank = group->rank();
  const int64_t per_replica = rounds.per_replica();
  const auto draws_of = [&](int64_t place) {
    const int64_t first = rounds.first_image(place, rounds.rank);
    std::vector<Draw> draws;
    for (int64_t i = first; i < first + rounds.count(place, rounds.rank); ++i) {
      draws.push_back(labels.draw(i, place / per_replica));
    }
    return draws;
  };
  Loader loader(
      data, data.train, options.augmentation, draws_of,
      teacher.compute().loader_threads.value_or(loader_threads(data.train, options.augmentation)),
      teacher.compute().device.is_cuda());
  for (int64_t replica = done; replica < options.replicas; ++replica) {
    if (replica > done) progress.replica_done(first_replicas(labels, replica));
    torch::Tensor probabilities = labels.probabilities[replica], classes;
    if (labels.classes.defined()) classes = labels.classes[replica];
    for (int64_t place = replica * per_replica; place < (replica + 1) * per_replica; ++place) {
      const int64_t first = rounds.first_image(place, rounds.rank);
      const int64_t count = rounds.count(place, rounds.rank);
      if (count > 0) {
        label_batch(teacher, loader.get(place), options.temperature,
                    probabilities.narrow(0, first, count),
                    classes.defined() ? classes.narrow(0, first, count) : classes);
      }
      progress.images_done(replica * labels.images +
                           rounds.first_image(place, rounds.processes - 1) +
                           rounds.count(place, rounds.processes - 1));
    }
    if (group == nullptr) continue;
    exchange_rows(*group, rounds, probabilities);
    if (classes.defined()) exchange_rows(*group, rounds, classes);
  }
  return labels;
}

}  // namespace ridgewalk
