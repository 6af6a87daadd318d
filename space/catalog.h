// Published networks by name.
#pragma once

#include <string>
#include <vector>

#include "space/architecture.h"

namespace ridgewalk {

// "mnv4-conv-small", ...: space/catalog/*.yaml, and their published width multiples
// ("mnv4-conv-small-050"): classifiers.
std::vector<std::string> catalog_names();

// The published detectors over them: "mnv4-conv-medium-retinanet", ...
std::vector<std::string> detector_names();

// Whether the catalogue has the name, at its own width or with a multiplier, whatever files there
// are.
bool is_in_catalog(const std::string& name);

// A catalogue name, one with any width multiplier in hundredths or after an @ ("mobilenet-v2-075",
// "mnv4-conv-small@0.21"), either with "-retinanet" after it for a detector over that network (384
// pixels, 91 classes: COCO's in TF-models), a YAML file, or a name of timm
// ("mobilenetv4_conv_small.e2400_r224_in1k": at the resolution of its tag). Throws Error naming the
// nearest names.
Architecture find_architecture(const std::string& name_or_path);

}  // namespace ridgewalk
