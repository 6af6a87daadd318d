#include "supernet/training/provenance_check.h"

#include <algorithm>

#include "space/error.h"
#include "space/json.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

// As a file's metadata have them: bytes that are not UTF-8 become U+FFFD.
std::vector<std::string> class_names(const Dataset& data) {
  return json::parse(json(data.class_names).dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

Provenance provenance_of(const Dataset& data) {
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
  return provenance;
}

bool has_same_classes(const Provenance& weights, const Dataset& data) {
  return weights.classes == class_names(data);
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

void require_unseen(const Provenance& weights, const std::string& path, const Dataset& data) {
  const int64_t held_out = data.search_validation.size();
  if (held_out == 0) return;
  if (weights.training_hash == training_hash(data)) {
    if (weights.split_seed == data.split_seed && weights.held_out >= held_out) return;
    throw Error(path, 0,
                "has learned images that are held out here: its training held out " +
                    std::to_string(weights.held_out) + " images drawn with seed " +
                    std::to_string(weights.split_seed) + ", here are " + std::to_string(held_out) +
                    " drawn with seed " + std::to_string(data.split_seed) +
                    "; hold out the same images or none");
  }
  if (weights.data == data.name) {
    throw Error(path, 0,
                "was trained on other images than " + data.name +
                    " has now, so that images held out here may be among those it has learned; "
                    "restore the data, or hold out no images");
  }
}

void normalize_as(const Provenance& weights, Dataset& data) {
  if (weights.mean.size() != size_t(data.channels)) return;
  std::copy(weights.mean.begin(), weights.mean.end(), data.mean.begin());
  std::copy(weights.deviation.begin(), weights.deviation.end(), data.deviation.begin());
}

void load_weights_for(const Dataset& data, const std::string& path, ParameterStore& parameters) {
  const std::optional<Provenance> weights = load_weights(path, parameters);
  if (!weights) return;
  require_same_classes(*weights, path, data);
  require_unseen(*weights, path, data);
}

}  // namespace ridgewalk
