// Weights of stand-alone networks as slices of shared ones, and shared ones as those of a network.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "space/architecture.h"
#include "supernet/formats/weights.h"
#include "supernet/network/parameters.h"

namespace ridgewalk {

// How much of shared weights came from a file.
struct SlicesTaken {
  int64_t tensors = 0, elements = 0;
  int64_t of_tensors = 0, of_elements = 0;  // learned parameters that there are
};

// The shared names of a stand-alone network's parameters, by their own: what blocks a stage has is
// told by the names in it, the kernels of depthwise convolutions by their shapes.
std::map<std::string, std::string> shared_names(const NamedWeights& network);

// Copies each tensor of a network in timm's naming to the shared parameter of its name and kernel:
// the first channels of each, as many as both have. Running statistics, which shared weights do not
// use, stay, and the classifier unless `with_classifier`. Throws Error naming `path` where nothing
// fits, a tensor holds what weights cannot be, or is seen to be of a convolution in groups: that of
// a universal inverted bottleneck, which reads fewer channels than its block has.
SlicesTaken take_slices(const NamedWeights& network, const std::string& path, bool with_classifier,
                        ParameterStore& shared);

// What a member of the space reads of its shared weights, as the weights of its own network.
void copy_slices(const ParameterStore& shared, const SearchSpace& space, const Architecture& member,
                 ParameterStore& own);

}  // namespace ridgewalk
