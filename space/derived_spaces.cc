#include "space/derived_spaces.h"

#include <algorithm>

#include "space/error.h"

namespace ridgewalk {
namespace {

BlockSpace frozen(double expansion, const Uib& uib) {
  return {.expansion = {expansion},
          .kernel1 = {uib.kernel1},
          .kernel2 = {uib.kernel2},
          .attention = {std::nullopt}};
}

// `space` with everything frozen to `architecture`, which must have the stages of the space and no
// attention; adjust(s, b, block) may then widen the options of block b of stage s.
SearchSpace frozen_space(const SearchSpace& space, const Architecture& architecture, auto adjust) {
  SearchSpace result = space;
  result.resolution = {architecture.resolution};
  result.activation = {architecture.activation};
  result.layer_scale = {architecture.layer_scale};
  result.stem_width = {architecture.stem.width};
  if (architecture.stages.size() != space.stages.size()) {
    throw Error("architecture '" + architecture.name + "' does not have the stages of the space '" +
                space.name + "'");
  }
  int width = architecture.stem.width;
  for (size_t s = 0; s < space.stages.size(); ++s) {
    StageSpace& stage = result.stages[s];
    const std::vector<Block>& blocks = architecture.stages[s];
    std::vector<BlockSpace> frozen_blocks;
    for (const Block& block : blocks) {
      if (const auto* uib = std::get_if<Uib>(&block)) {
        frozen_blocks.push_back(frozen(double(uib->expanded) / width, *uib));
        stage.kind = {StageKind::kUib};
      } else if (const auto* fused = std::get_if<FusedIb>(&block)) {
        frozen_blocks.push_back(frozen(double(fused->expanded) / width, Uib{}));
        stage.kind = {StageKind::kFusedIb};
      } else if (const auto* conv = std::get_if<Conv>(&block)) {
        if (frozen_blocks.empty())
          frozen_blocks.push_back(frozen(double(conv->width) / width, Uib{}));
        stage.kind = {StageKind::kConvPair};
      }
      width = output_width(block, width);
    }
    stage.width = {width};
    stage.depth = {static_cast<int>(frozen_blocks.size())};
    for (size_t b = 0; b < frozen_blocks.size(); ++b) adjust(s, b, frozen_blocks[b]);
    stage.blocks = std::move(frozen_blocks);
  }
  validate(result);
  return result;
}

const BlockSpace& offered(const SearchSpace& space, size_t s, size_t b) {
  const auto& blocks = space.stages[s].blocks;
  return blocks[std::min(b, blocks.size() - 1)];
}

}  // namespace

SearchSpace coarse_space(const SearchSpace& space) {
  SearchSpace coarse = space;
  coarse.name = space.name + "-coarse";
  for (StageSpace& stage : coarse.stages) {
    const bool has_uib =
        std::find(stage.kind.begin(), stage.kind.end(), StageKind::kUib) != stage.kind.end();
    for (BlockSpace& block : stage.blocks) {
      block.kernel1 = {0};
      block.kernel2 = {3};
      block.attention = {std::nullopt};
      if (has_uib) block.expansion = {4};
    }
  }
  validate(coarse);
  return coarse;
}

SearchSpace single_space(const SearchSpace& space) {
  SearchSpace single = space;
  single.name = space.name + "-single";
  for (StageSpace& stage : single.stages) {
    for (BlockSpace& block : stage.blocks) block.attention = {std::nullopt};
  }
  validate(single);
  return single;
}

SearchSpace fine_space(const SearchSpace& space, const Architecture& coarse) {
  SearchSpace fine = frozen_space(space, coarse, [&](size_t s, size_t b, BlockSpace& block) {
    block.kernel1 = offered(space, s, b).kernel1;
    block.kernel2 = offered(space, s, b).kernel2;
  });
  fine.name = space.name + "-fine";
  return fine;
}

SearchSpace hybrid_space(const SearchSpace& space, const Architecture& fine) {
  int strided_stages_after = 0;  // how many lower resolutions follow this stage
  std::vector<bool> in_last_two(space.stages.size());
  for (size_t s = space.stages.size(); s-- > 0;) {
    in_last_two[s] = strided_stages_after < 2;
    strided_stages_after += space.stages[s].stride == 2;
  }
  SearchSpace hybrid = frozen_space(space, fine, [&](size_t s, size_t b, BlockSpace& block) {
    if (in_last_two[s]) block.attention = offered(space, s, b).attention;
  });
  hybrid.name = space.name + "-hybrid";
  return hybrid;
}

}  // namespace ridgewalk
