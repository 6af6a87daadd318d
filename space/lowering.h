// The one place where blocks become operations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "space/architecture.h"
#include "space/graph.h"

namespace ridgewalk {

// timm:   blocks.S.B.dw_mid.conv, where B counts all blocks of the stage: a stand-alone network.
// shared: blocks.S.U.dw_mid.k5.conv, where U counts the UIBs of the stage. Each depthwise kernel
//         size has its own tensor and norm, and attention after UIB U is blocks.S.U.mqa: by these
//         names all architectures of a space share their weights.
// none:   prices need no names, which take most of the time, but those of block-fused bytes, which
//         tell blocks apart by them.
enum class Naming { kTimm, kShared, kNone };

// Options of a choice that run side by side and are averaged (operation warm-up of TuNAS). An empty
// list leaves the choice as it is in the architecture.
struct BlockBlend {
  std::vector<int> kernel1;
  std::vector<int> kernel2;
  std::vector<std::optional<MobileMqa>> attention;  // after this UIB; nullopt is "none"
  // Follows blocks.S.U in the names of the UIB's weights, where those with other options have
  // others; empty where all share them.
  std::string own_weights;
};
struct StageBlend {
  std::vector<int> depths;         // the outputs after this many UIBs are averaged
  std::vector<BlockBlend> blocks;  // one per UIB
};
struct BlendedArchitecture {
  Architecture architecture;
  std::vector<StageBlend> stages;  // empty, or one per stage
};

// Throws Error when the architecture is not valid.
Graph lower(const Architecture& architecture, Naming naming = Naming::kTimm);
Graph lower(const BlendedArchitecture& blended);  // in shared naming

}  // namespace ridgewalk
