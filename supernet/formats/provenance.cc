#include "supernet/formats/provenance.h"

#include <cmath>

#include "space/error.h"
#include "space/json.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

bool is_sound(const Provenance& provenance) {
  const size_t channels = provenance.mean.size();
  if ((channels != 1 && channels != 3) || provenance.deviation.size() != channels) return false;
  for (size_t c = 0; c < channels; ++c) {
    // Pixels are in [0, 1]; NaN is in no range.
    const double mean = provenance.mean[c], deviation = provenance.deviation[c];
    if (!(std::abs(mean) <= 10 && deviation >= 1e-6 && deviation <= 10)) return false;
  }
  return provenance.held_out >= 0 && provenance.resolution > 0 && provenance.crop_fraction >= 0 &&
         provenance.crop_fraction <= 1;
}

}  // namespace

std::string to_json(const Provenance& provenance) {
  return json{{"data", provenance.data},
              {"training_hash", provenance.training_hash},
              {"split_seed", provenance.split_seed},
              {"held_out", provenance.held_out},
              {"classes", provenance.classes},
              {"mean", provenance.mean},
              {"deviation", provenance.deviation},
              {"resolution", provenance.resolution},
              {"crop_fraction", provenance.crop_fraction}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Provenance> provenance_in(const std::map<std::string, std::string>& metadata,
                                        const std::string& path) {
  const auto found = metadata.find(kProvenanceKey);
  if (found == metadata.end()) return std::nullopt;
  Provenance provenance;
  try {
    const json fields = json::parse(found->second);
    fields.at("data").get_to(provenance.data);
    fields.at("training_hash").get_to(provenance.training_hash);
    fields.at("split_seed").get_to(provenance.split_seed);
    fields.at("held_out").get_to(provenance.held_out);
    fields.at("classes").get_to(provenance.classes);
    fields.at("mean").get_to(provenance.mean);
    fields.at("deviation").get_to(provenance.deviation);
    fields.at("resolution").get_to(provenance.resolution);
    fields.at("crop_fraction").get_to(provenance.crop_fraction);
  } catch (const json::exception&) {
    throw Error(path, 0, "has damaged metadata ('ridgewalk'); write the weights again");
  }
  if (!is_sound(provenance)) {
    throw Error(path, 0,
                "has impossible values in its metadata ('ridgewalk'); write the weights again");
  }
  return provenance;
}

}  // namespace ridgewalk
