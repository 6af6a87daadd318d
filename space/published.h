// Accuracies that others published for networks of the catalogue (space/published.yaml).
#pragma once

#include <optional>
#include <string>

namespace ridgewalk {

struct PublishedAccuracy {
  double top1 = 0;  // share of ImageNet-1k's validation images
  int resolution = 0;
  std::string source;
};

// Nothing where no figure was found for the catalogue name.
std::optional<PublishedAccuracy> published_accuracy(const std::string& catalog_name);

}  // namespace ridgewalk
