#include "supernet/training/provenance_check.h"

#include <algorithm>
#include <utility>

#include "space/error.h"
#include "space/json.h"
#include "supernet/data/class_names.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

// As a file's metadata have them: bytes that are not UTF-8 become U+FFFD.
std::vector<std::string> class_names(const Dataset& data) {
  return json::parse(json(data.class_names).dump(-1, ' ', false, json::error_handler_t::replace));
}

// The smallest of all, ascending.
std::vector<uint64_t> sample_of(std::vector<uint64_t> hashes) {
  std::erase(hashes, 0);  // files that cannot be read
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  hashes.resize(std::min(hashes.size(), kMostHashes));
  return hashes;
}

constexpr const char* kHasLearned = "has learned images that are held out here: ";

// Of the same training images.
void require_part_of_split(const LearnedImages& learned, const std::string& path,
                           const Dataset& data) {
  const int64_t held_out = data.search_validation.size();
  if (learned.split_seed == data.split_seed && learned.held_out >= held_out) return;
  throw Error(path, 0,
              kHasLearned + ("its training on " + learned.data) + " held out " +
                  std::to_string(learned.held_out) + " images drawn with seed " +
                  std::to_string(learned.split_seed) + ", here are " + std::to_string(held_out) +
                  " drawn with seed " + std::to_string(data.split_seed) +
                  "; hold out the same images or none");
}

void require_other_name(const LearnedImages& learned, const std::string& path,
                        const Dataset& data) {
  if (learned.data != data.name) return;
  throw Error(path, 0,
              "was trained on other images than " + data.name +
                  " has now, so that images held out here may be among those it has learned; "
                  "restore the data, or hold out no images");
}

void require_no_image_of(const LearnedImages& learned, const std::string& path,
                         const Dataset& data) {
  const std::vector<uint64_t> held_out = image_hashes(data, data.search_validation);
  const auto known = std::count_if(held_out.begin(), held_out.end(), [&](uint64_t hash) {
    return std::binary_search(learned.hashes.begin(), learned.hashes.end(), hash);
  });
  if (known == 0) return;
  throw Error(path, 0,
              kHasLearned + ("its training on " + learned.data) + " had " +
                  (learned.hashes.size() < kMostHashes ? "" : "at least ") + std::to_string(known) +
                  " of the " + std::to_string(held_out.size()) + "; hold out no images");
}

}  // namespace

Provenance provenance_of(const Dataset& data, std::vector<LearnedImages> before) {
  Provenance provenance{.data = data.name,
                        .training_hash = training_hash(data),
                        .split_seed = data.split_seed,
                        .held_out = data.search_validation.size(),
                        .classes = class_names(data),
                        .mean = {},
                        .deviation = {},
                        .resolution = data.resolution,
                        .crop_fraction = data.train.paths.empty() ? 0 : data.crop_fraction};
  for (size_t c = 0; c < size_t(data.channels); ++c) {
    provenance.mean.push_back(data.mean[c]);
    provenance.deviation.push_back(data.deviation[c]);
  }
  provenance.learned = std::move(before);
  add({{provenance.data, provenance.training_hash, provenance.split_seed, provenance.held_out,
        sample_of(image_hashes(data, data.train))}},
      provenance.learned);
  return provenance;
}

bool has_same_classes(const Provenance& weights, const Dataset& data) {
  const std::vector<std::string> known = known_class_names(weights.data), ours = class_names(data),
                                 theirs = weights.classes.empty() ? known : weights.classes;
  if (theirs == ours) return true;
  return (ours.empty() && theirs == known) ||
         (theirs.empty() && ours == known_class_names(data.name));
}

void require_same_classes(const Provenance& weights, const std::string& path, const Dataset& data) {
  const std::vector<std::string>& theirs = weights.classes;
  const std::vector<std::string> ours = class_names(data);
  if (theirs.empty() || ours.empty() || theirs == ours) return;
  const size_t count = std::min(theirs.size(), ours.size());
  size_t label = 0;
  while (label < count && theirs[label] == ours[label]) ++label;
  const auto name = [label](const std::vector<std::string>& names) {
    return label < names.size() ? "'" + names[label] + "'" : std::string("missing");
  };
  throw Error(path, 0,
              "was trained on other classes than those of " + data.name + ": class " +
                  std::to_string(label) + " is " + name(theirs) + " there and " + name(ours) +
                  " here; give the data the same class names in the same order");
}

void require_unseen(const std::vector<LearnedImages>& learned, const std::string& path,
                    const Dataset& data) {
  if (data.search_validation.size() == 0 || learned.empty()) return;
  const uint64_t hash = training_hash(data);
  for (const LearnedImages& one : learned) {
    if (one.training_hash == hash) {
      require_part_of_split(one, path, data);
    } else if (one.hashes.empty()) {
      require_other_name(one, path, data);
    } else {
      require_no_image_of(one, path, data);
    }
  }
}

void normalize_as(const Provenance& weights, Dataset& data) {
  if (weights.mean.size() != size_t(data.channels)) return;
  std::copy(weights.mean.begin(), weights.mean.end(), data.mean.begin());
  std::copy(weights.deviation.begin(), weights.deviation.end(), data.deviation.begin());
}

std::vector<LearnedImages> load_weights_for(const Dataset& data, const std::string& path,
                                            ParameterStore& parameters) {
  const std::optional<Provenance> weights = load_weights(path, parameters);
  if (!weights) return {};
  require_same_classes(*weights, path, data);
  require_unseen(weights->learned, path, data);
  return weights->learned;
}

}  // namespace ridgewalk
