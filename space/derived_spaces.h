// The spaces of the stages of a search, each made from the result of the one before.
#pragma once

#include "space/search_space.h"

namespace ridgewalk {

// The coarse space: widths and depths stay choices; every UIB is an IB of expansion 4 and kernel 3,
// without attention (MobileNetV4, appendix A).
SearchSpace coarse_space(const SearchSpace& space);
// What coarse and fine search between them, and the expansions that coarse fixes, as one space:
// everything but attention.
SearchSpace single_space(const SearchSpace& space);
// The fine space after a coarse result: everything frozen to it but both depthwise kernels of every
// UIB, which may be whatever `space` offers.
SearchSpace fine_space(const SearchSpace& space, const Architecture& coarse);
// The hybrid space after a fine result: everything frozen but attention or none after each UIB of
// the last two resolutions.
SearchSpace hybrid_space(const SearchSpace& space, const Architecture& fine);

}  // namespace ridgewalk
