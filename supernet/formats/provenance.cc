#include "supernet/formats/provenance.h"

#include <algorithm>
#include <charconv>
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

// Whether all images of `part` are, for certain, among those of `whole`.
bool has_all(const LearnedImages& whole, const LearnedImages& part) {
  if (whole.hashes.empty()) return whole == part;
  if (whole.training_hash == part.training_hash && whole.split_seed == part.split_seed &&
      whole.held_out <= part.held_out) {
    return true;
  }
  return !part.hashes.empty() && part.hashes.size() < kMostHashes &&
         std::includes(whole.hashes.begin(), whole.hashes.end(), part.hashes.begin(),
                       part.hashes.end());
}

constexpr size_t kDigits = 16;  // of a hash

std::string hex_of(const std::vector<uint64_t>& hashes) {
  std::string text;
  text.reserve(kDigits * hashes.size());
  for (const uint64_t hash : hashes) {
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[hash >> shift & 15];
  }
  return text;
}

std::vector<uint64_t> hashes_in(const json& hex) {
  const auto& text = hex.get_ref<const std::string&>();
  std::vector<uint64_t> hashes(text.size() / kDigits);
  bool sound = text.size() == kDigits * hashes.size() && hashes.size() <= kMostHashes;
  const char* digits = text.data();
  for (uint64_t& hash : hashes) {
    const auto [end, failed] = std::from_chars(digits, digits + kDigits, hash, 16);
    digits += kDigits;
    sound = sound && failed == std::errc() && end == digits;
  }
  if (!sound || !std::is_sorted(hashes.begin(), hashes.end())) {
    throw json::other_error::create(501, "no ascending hashes", &hex);
  }
  return hashes;
}

json json_of(const std::vector<LearnedImages>& list) {
  json all = json::array();
  for (const LearnedImages& one : list) {
    all.push_back({{"data", one.data},
                   {"training_hash", one.training_hash},
                   {"split_seed", one.split_seed},
                   {"held_out", one.held_out},
                   {"hashes", hex_of(one.hashes)}});
  }
  return all;
}

std::vector<LearnedImages> learned_in(const json& list) {
  std::vector<LearnedImages> learned;
  for (const json& one : list.get_ref<const json::array_t&>()) {
    LearnedImages& images = learned.emplace_back();
    one.at("data").get_to(images.data);
    one.at("training_hash").get_to(images.training_hash);
    one.at("split_seed").get_to(images.split_seed);
    one.at("held_out").get_to(images.held_out);
    if (images.held_out < 0) throw json::other_error::create(501, "a negative count", &one);
    images.hashes = hashes_in(one.at("hashes"));
  }
  return learned;
}

}  // namespace

void add(const std::vector<LearnedImages>& more, std::vector<LearnedImages>& list) {
  for (const LearnedImages& one : more) {
    const auto has_one = [&](const LearnedImages& other) { return has_all(other, one); };
    if (std::any_of(list.begin(), list.end(), has_one)) continue;
    std::erase_if(list, [&](const LearnedImages& other) { return has_all(one, other); });
    list.push_back(one);
  }
}

std::string to_json(const std::vector<LearnedImages>& list) {
  return json_of(list).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<LearnedImages> learned_from_json(const std::string& text) {
  return learned_in(json::parse(text));
}

std::string to_json(const Provenance& provenance) {
  return json{{"data", provenance.data},
              {"training_hash", provenance.training_hash},
              {"split_seed", provenance.split_seed},
              {"held_out", provenance.held_out},
              {"classes", provenance.classes},
              {"mean", provenance.mean},
              {"deviation", provenance.deviation},
              {"resolution", provenance.resolution},
              {"crop_fraction", provenance.crop_fraction},
              {"learned", json_of(provenance.learned)}}
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
    if (fields.contains("learned")) {
      provenance.learned = learned_in(fields["learned"]);
    } else {  // an earlier version's
      provenance.learned = {
          {provenance.data, provenance.training_hash, provenance.split_seed, provenance.held_out}};
    }
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
