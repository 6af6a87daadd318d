// The spaces of the stages of a search, each derived from the result of the one before.
#pragma once

#include "space/search_space.h"

namespace ridgewalk {

// The coarse space: widths and depths remain choices; every UIB is an IB with expansion 4 and
// kernel 3, without attention (MobileNetV4, appendix A).
SearchSpace coarse_space(const SearchSpace& space);
// What the coarse and fine stages search together, and the expansions that the coarse stage fixes,
// as one space: everything but attention.
SearchSpace single_space(const SearchSpace& space);
// The fine space after a coarse result: everything is frozen to it except the two depthwise kernels
// of every UIB, for which `space` gives the options.
SearchSpace fine_space(const SearchSpace& space, const Architecture& coarse);
// The hybrid space after a fine result: everything is frozen to it except whether attention follows
// each UIB of the last two resolutions.
SearchSpace hybrid_space(const SearchSpace& space, const Architecture& fine);

}  // namespace ridgewalk
