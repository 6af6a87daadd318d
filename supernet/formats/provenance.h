// What weights were trained on. It travels in the metadata of their file, so that they are not used
// on other classes, other pixels, or images that they have learned.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ridgewalk {

struct Provenance {
  std::string data;                               // name of the data set
  uint64_t training_hash = 0;                     // of its training images before any were held out
  uint64_t split_seed = 0;                        // that those held out were drawn with
  int64_t held_out = 0;                           // training images that the weights have not seen
  std::vector<std::string> classes = {};          // names by label; empty where the data have none
  std::vector<double> mean = {}, deviation = {};  // of each channel, in [0, 1]
  int resolution = 0;                             // height and width of the images
  double crop_fraction = 0;  // of a file's shorter side; 0 for images that are not files

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
