// Training-free judges of a network: what its initial weights alone say.
#pragma once

#include <cstdint>

#include "space/graph.h"
#include "space/names.h"
#include "supernet/data/batch.h"

namespace ridgewalk {

// The larger the better, each by its published definition, with fresh weights:
//   grad-norm: sum over convolution and linear weights of the 2-norm of the loss' gradient, and
//   snip: sum over the same of |w dL/dw| (Lee et al., arXiv 1810.02340), both as Abdelfattah et al.
//     take them (arXiv 2101.08134), of one batch of training images;
//   synflow: sum of w dR/dw, R the sum of the logits of an image of ones with |w| and norms left
//     out (Tanaka et al., arXiv 2006.05467); its logarithm, which orders alike and has no end;
//   naswot: log |det K|, K the number of ReLU outputs that are on or off in both of two images of
//     the batch (Mellor et al., arXiv 2006.04647);
//   zen: log of the mean change of the last feature map from noise to noise with a hundredth of
//     other noise added, without skips, plus for each norm the log of the deviation that it takes
//     away (Lin et al., arXiv 2102.01063).
enum class Proxy { kGradNorm, kSnip, kSynflow, kNaswot, kZen };
template <>
inline constexpr auto kNames<Proxy> = name_table<Proxy>("proxy", {{Proxy::kGradNorm, "grad-norm"},
                                                                  {Proxy::kSnip, "snip"},
                                                                  {Proxy::kSynflow, "synflow"},
                                                                  {Proxy::kNaswot, "naswot"},
                                                                  {Proxy::kZen, "zen"}});

// Of a network on the CPU in fp32; `batch` has images [N, C, H, W] and labels. NaN where the proxy
// is not defined: naswot without a ReLU.
double proxy(Proxy proxy, const Graph& graph, const Batch& batch, uint64_t seed);

}  // namespace ridgewalk
