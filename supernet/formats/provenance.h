// What weights were trained on. It travels in the metadata of their file, so that they are not used
// on other classes, other pixels, or images that they have learned.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ridgewalk {

// The images that one training has shown to weights.
struct LearnedImages {
  std::string data;            // name of the data set
  uint64_t training_hash = 0;  // of its training images before any were held out
  uint64_t split_seed = 0;     // that those held out were drawn with
  int64_t held_out = 0;        // training images that were not shown
  // Hashes of single images, ascending: of at most kMostHashes images those of all; of more, whose
  // list would outgrow small weights, the smallest, a sample that a set which shares many images
  // with the data also has a part of. Empty in files of earlier versions.
  std::vector<uint64_t> hashes = {};

  bool operator==(const LearnedImages&) const = default;
};
inline constexpr size_t kMostHashes = 16384;  // 256 KiB of JSON

// Adds trainings to a list, leaving out those whose images another one of it has, too.
void add(const std::vector<LearnedImages>& more, std::vector<LearnedImages>& list);
std::string to_json(const std::vector<LearnedImages>& list);
// Throws nlohmann::json::exception for other text.
std::vector<LearnedImages> learned_from_json(const std::string& text);

struct Provenance {
  std::string data;                               // name of the data set
  uint64_t training_hash = 0;                     // of its training images before any were held out
  uint64_t split_seed = 0;                        // that those held out were drawn with
  int64_t held_out = 0;                           // training images that the weights have not seen
  std::vector<std::string> classes = {};          // names by label; empty where the data have none
  std::vector<double> mean = {}, deviation = {};  // of each channel, in [0, 1]
  int resolution = 0;                             // height and width of the images
  double crop_fraction = 0;  // of a file's shorter side; 0 for images that are not files
  // Of this training, and of all before it: of the weights it started from, of its teachers.
  std::vector<LearnedImages> learned = {};

  bool operator==(const Provenance&) const = default;
};

// JSON under the key `ridgewalk`, in safetensors' metadata and ONNX's metadata_props.
inline constexpr const char* kProvenanceKey = "ridgewalk";
std::string to_json(const Provenance& provenance);
// Nothing where the key is absent, as in weights of other programs. Throws Error naming `path` when
// it holds something else.
std::optional<Provenance> provenance_in(const std::map<std::string, std::string>& metadata,
                                        const std::string& path);

}  // namespace ridgewalk
