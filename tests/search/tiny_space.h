// A space small enough to enumerate, for tests of search/.
#pragma once

#include "search/controller.h"
#include "space/json.h"

namespace ridgewalk {

// 2 widths x (1 block: 3 x 2, or 2 blocks: 3 x 2 x 3 x 3 kernels) = 120 architectures.
inline SearchSpace tiny_space() {
  return search_space_from_yaml(R"(
name: tiny
resolution: 16
channels: 1
classes: 10
stem: {kernel: 3, stride: 2, width: 8}
stages:
  - {block: uib, stride: 2, width: [16, 24], depth: [1, 2], expansion: 4,
     kernel1: [0, 3, 5], kernel2: [0, 3, 5]}
head: {width: 32, features: 32}
)",
                                "tiny");
}

inline int depth_choice(const SearchSpace& space) { return choice_layout(space).stages[0].depth; }

// All first options, with the given option of depth; what is unused is left to the caller.
inline Decisions decisions_of(const SearchSpace& space, int depth) {
  Decisions decisions(choice_layout(space).count, 0);
  decisions[depth_choice(space)] = depth;
  deactivate_unused(space, choice_layout(space), decisions);
  return decisions;
}
inline Decisions decode_depth(const SearchSpace& space, int depth) {
  return decisions_of(space, depth);
}

// log p of `sample` by a copy of the controller with one logit moved.
inline double log_probability_with(const Controller& controller, const SearchSpace& space,
                                   const Decisions& sample, int choice, int option, double by) {
  auto state = nlohmann::json::parse(controller.state());
  size_t index = 0;
  const auto list = choices(space);
  for (int c = 0; c < choice; ++c) index += list[c].options.size();
  auto& logit = state["logits"][index + option];
  logit = logit.get<double>() + by;
  Controller moved(space, {});
  moved.restore(state.dump());
  return moved.log_probability(sample);
}

}  // namespace ridgewalk
