// The only place where a block becomes operations.
#pragma once

#include <optional>
#include <vector>

#include "space/architecture.h"
#include "space/graph.h"

namespace ridgewalk {

// timm:   blocks.S.B.dw_mid.conv, B counting every block of the stage: a network of its own.
// shared: blocks.S.U.dw_mid.k5.conv, U counting the UIBs of the stage, one tensor and one norm a
//         depthwise kernel size, and attention after UIB U under blocks.S.U.mqa: the names under
//         which all architectures of a space share their weights.
enum class Naming { kTimm, kShared };

// Options of a choice that run side by side and are averaged (TuNAS' op warm-up). An empty list
// leaves the choice as the architecture has it.
struct BlockBlend {
  std::vector<int> kernel1;
  std::vector<int> kernel2;
  std::vector<std::optional<MobileMqa>> attention;  // after this UIB; nullopt is "none"
};
struct StageBlend {
  std::vector<int> depths;         // outputs after so many UIBs are averaged
  std::vector<BlockBlend> blocks;  // one a UIB
};
struct BlendedArchitecture {
  Architecture architecture;
  std::vector<StageBlend> stages;  // empty, or one a stage
};

// Throws Error when the architecture is not valid.
Graph lower(const Architecture& architecture, Naming naming = Naming::kTimm);
Graph lower(const BlendedArchitecture& blended);  // in shared naming

}  // namespace ridgewalk
