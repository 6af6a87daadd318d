#include "supernet/training/distillation.h"

#include <cmath>

#include <ATen/Parallel.h>

#include "space/error.h"
#include "space/hash.h"
#include "space/json.h"
#include "space/lowering.h"
#include "supernet/data/loader.h"
#include "supernet/formats/safetensors.h"
#include "supernet/training/distill_rounds.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

constexpr int64_t kMostClasses = 32768;  // of I16
constexpr int64_t kFewClasses = 32, kDefaultTopK = 16;

Architecture for_data(Architecture architecture, const Dataset& data) {
  architecture.channels = data.channels;
  architecture.classes = data.classes;
  return architecture;
}

uint64_t tensor_hash(const torch::Tensor& tensor) {
  const torch::Tensor whole = tensor.contiguous();
  return hash_of(whole.data_ptr(), whole.nbytes());
}

std::string source_json(const DistilledLabels& labels) {
  return json{{"data", labels.data},
              {"images", labels.images},
              {"held_out", labels.held_out},
              {"split_seed", labels.split_seed},
              {"split_hash", labels.split_hash},
              {"of_contents", true},
              {"resolution", labels.resolution},
              {"crop_fraction", labels.crop_fraction},
              {"augmentation", labels.augmentation},
              {"seed", labels.seed},
              {"replicas", labels.replicas},
              {"classes", labels.number_of_classes},
              {"teacher", labels.teacher},
              {"teacher_weights", labels.teacher_weights},
              {"teacher_hash", labels.teacher_hash},
              {"teacher_test_top1", labels.teacher_top1},
              {"temperature", labels.temperature},
              {"learned", to_json(labels.learned)}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

// Throws json::exception for a key that is missing or of another type.
void read_source(const std::string& text, DistilledLabels& labels) {
  const json source = json::parse(text);
  source.at("data").get_to(labels.data);
  source.at("images").get_to(labels.images);
  source.at("held_out").get_to(labels.held_out);
  source.at("split_seed").get_to(labels.split_seed);
  source.at("split_hash").get_to(labels.split_hash);
  labels.of_contents = source.value("of_contents", false);
  source.at("resolution").get_to(labels.resolution);
  source.at("crop_fraction").get_to(labels.crop_fraction);
  source.at("augmentation").get_to(labels.augmentation);
  source.at("seed").get_to(labels.seed);
  source.at("replicas").get_to(labels.replicas);
  source.at("classes").get_to(labels.number_of_classes);
  source.at("teacher").get_to(labels.teacher);
  source.at("teacher_weights").get_to(labels.teacher_weights);
  source.at("teacher_hash").get_to(labels.teacher_hash);
  source.at("teacher_test_top1").get_to(labels.teacher_top1);
  source.at("temperature").get_to(labels.temperature);
  if (source.contains("learned")) {
    labels.learned = learned_from_json(source["learned"].get<std::string>());
  }
}

uint64_t file_hash(const std::string& source, const DistilledLabels& labels) {
  uint64_t hash = mix(hash_of(source), tensor_hash(labels.probabilities));
  if (labels.classes.defined()) hash = mix(hash, tensor_hash(labels.classes));
  return hash;
}

bool has_shape(const torch::Tensor& tensor, torch::ScalarType type, const DistilledLabels& labels,
               int64_t k) {
  return tensor.scalar_type() == type &&
         tensor.sizes() == torch::IntArrayRef{labels.replicas, labels.images, k};
}

DistilledLabels first_replicas(DistilledLabels labels, int64_t replicas) {
  labels.replicas = replicas;
  labels.probabilities = labels.probabilities.narrow(0, 0, replicas);
  if (labels.classes.defined()) labels.classes = labels.classes.narrow(0, 0, replicas);
  return labels;
}

// That the file was right when it was written, which its hash does not say.
bool is_sound(const DistilledLabels& labels) {
  const int64_t classes = labels.number_of_classes;
  if (labels.replicas < 1 || labels.images < 1 || classes < 2 || classes > kMostClasses ||
      labels.probabilities.dim() != 3) {
    return false;
  }
  const int64_t k = labels.probabilities.size(2);
  if (k < 1 || k > classes || labels.classes.defined() != (k < classes) ||
      !has_shape(labels.probabilities, torch::kHalf, labels, k) ||
      (k < classes && !has_shape(labels.classes, torch::kShort, labels, k))) {
    return false;
  }
  for (int64_t r = 0; r < labels.replicas; ++r) {
    const torch::Tensor kept = labels.probabilities[r].to(torch::kFloat);
    const torch::Tensor sum = kept.sum(1);
    // Comparisons with NaN are false.
    if (!(kept.min().item<float>() >= 0 && sum.max().item<float>() < 1.01f &&
          (k < classes || sum.min().item<float>() > 0.99f))) {
      return false;
    }
    if (k < classes && !(labels.classes[r].min().item<int64_t>() >= 0 &&
                         labels.classes[r].max().item<int64_t>() < classes)) {
      return false;
    }
  }
  return true;
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
  uint64_t hash = tensor_hash(network_.parameters.values().cpu());
  for (int number : {network_.graph.ops[0].output.height, network_.graph.ops[0].output.width,
                     int(compute_.device.type()), int(compute_.precision), at::get_num_threads()}) {
    hash = mix(hash, uint64_t(number));
  }
  if (scale_.defined()) hash = mix(mix(hash, tensor_hash(scale_)), tensor_hash(shift_));
  return hash;
}

Draw DistilledLabels::draw(int64_t image, int64_t replica) const {
  return {image, mix(mix(seed, uint64_t(replica)), uint64_t(image))};
}

torch::Tensor DistilledLabels::targets(std::span<const Draw> draws, int64_t replica) const {
  torch::Tensor rows = torch::empty({int64_t(draws.size())}, torch::kLong);
  for (size_t n = 0; n < draws.size(); ++n) rows.data_ptr<int64_t>()[n] = draws[n].image;
  torch::Tensor kept = probabilities[replica].index_select(0, rows).to(torch::kFloat);
  if (classes.defined()) {
    const auto rest =
        (1 - kept.sum(1, true)).clamp_min(0) / double(number_of_classes - kept.size(1));
    kept = rest.repeat({1, number_of_classes})
               .scatter_(1, classes[replica].index_select(0, rows).to(torch::kLong), kept);
  }
  return kept / kept.sum(1, true);
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
  in_range(data.classes, 2, kMostClasses, "the number of classes");
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
  DistilledLabels same = so_far;
  same.replicas = labels.replicas;
  if (so_far.replicas > labels.replicas || source_json(same) != source_json(labels) ||
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

void save_distilled(const std::string& path, const DistilledLabels& labels) {
  const std::string source = source_json(labels);
  TensorFile file{
      .metadata = {{"distilled", source}, {"hash", std::to_string(file_hash(source, labels))}},
      .tensors = {{"probabilities", labels.probabilities}}};
  if (labels.classes.defined()) file.tensors.emplace_back("classes", labels.classes);
  write_safetensors(path, file);
}

DistilledLabels load_distilled(const std::string& path) {
  const TensorFile file = read_safetensors(path);
  const auto source = file.metadata.find("distilled");
  const auto hash = file.metadata.find("hash");
  if (source == file.metadata.end() || hash == file.metadata.end()) {
    throw Error(path, 0, "holds no distilled labels; `ridgewalk distill` writes them");
  }
  DistilledLabels labels;
  labels.path = path;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "probabilities") labels.probabilities = tensor;
    if (name == "classes") labels.classes = tensor;
  }
  bool damaged = !labels.probabilities.defined();
  try {
    read_source(source->second, labels);
  } catch (const json::exception&) {
    damaged = true;
  }
  if (!damaged) labels.hash = file_hash(source->second, labels);
  if (damaged || hash->second != std::to_string(labels.hash) || !is_sound(labels)) {
    throw Error(path, 0, "is damaged; remove it and distil again");
  }
  return labels;
}

void require_same_split(const DistilledLabels& labels, const Dataset& data) {
  if (labels.held_out != data.search_validation.size()) {
    throw Error(labels.path, 0,
                "was distilled with " + std::to_string(labels.held_out) +
                    " training images held out, here are " +
                    std::to_string(data.search_validation.size()) +
                    "; make search validation the same or distil again");
  }
  if (!labels.of_contents && !data.train.paths.empty()) {
    throw Error(
        labels.path, 0,
        "was distilled by a version that told image files apart by name only; distil again");
  }
  if (labels.split_hash != hash_of(data, data.train) || labels.number_of_classes != data.classes) {
    throw Error(labels.path, 0,
                "was distilled from other training images (" + labels.data + ") than those of " +
                    data.name + "; distil again");
  }
  if (!data.train.paths.empty() &&
      (labels.resolution != data.resolution || labels.crop_fraction != data.crop_fraction)) {
    throw Error(labels.path, 0,
                "was distilled at " + std::to_string(labels.resolution) +
                    " pixels with --crop-fraction " + std::to_string(labels.crop_fraction) +
                    ", here are " + std::to_string(data.resolution) + " and " +
                    std::to_string(data.crop_fraction) + "; distil again");
  }
  require_unseen(labels.learned, labels.path, data);
}

}  // namespace ridgewalk
