// Published accuracies of networks of the catalogue (space/published.yaml).
#pragma once

#include <optional>
#include <string>

namespace ridgewalk {

struct PublishedAccuracy {
  double top1 = 0;  // share of ImageNet-1k's validation images
  int resolution = 0;
  std::string source;
};

// Nothing for a network without a published figure.
std::optional<PublishedAccuracy> published_accuracy(const std::string& catalog_name);

}  // namespace ridgewalk
