#include "supernet/training/distilled_labels.h"

#include "space/error.h"
#include "space/hash.h"
#include "space/json.h"
#include "supernet/formats/safetensors.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

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
  uint64_t hash = mix(hash_of(source), hash_of(labels.probabilities));
  if (labels.classes.defined()) hash = mix(hash, hash_of(labels.classes));
  return hash;
}

bool has_shape(const torch::Tensor& tensor, torch::ScalarType type, const DistilledLabels& labels,
               int64_t k) {
  return tensor.scalar_type() == type &&
         tensor.sizes() == torch::IntArrayRef{labels.replicas, labels.images, k};
}

// That the file was right when it was written, which its hash does not say.
bool is_sound(const DistilledLabels& labels) {
  const int64_t classes = labels.number_of_classes;
  if (labels.replicas < 1 || labels.images < 1 || classes < 2 || classes > kMostDistilledClasses ||
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

uint64_t hash_of(const torch::Tensor& tensor) {
  const torch::Tensor whole = tensor.contiguous();
  return hash_of(whole.data_ptr(), whole.nbytes());
}

bool have_same_source(const DistilledLabels& a, DistilledLabels b) {
  b.replicas = a.replicas;
  return source_json(a) == source_json(b);
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
