// A small network with attention, its weights computed by a formula: something to store.
#pragma once

#include <string>

#include "space/lowering.h"
#include "supernet/network/executor.h"
#include "tests/folder_test.h"
#include "tests/formula_weights.h"

namespace ridgewalk {

inline Architecture small_hybrid() {
  Architecture a{.name = "small", .resolution = 16, .channels = 1, .classes = 5};
  a.layer_scale = 0.5;
  a.stem.width = 8;
  a.stages = {{Uib{.kernel1 = 3, .kernel2 = 3, .expanded = 16, .width = 8, .stride = 2},
               MobileMqa{.heads = 2, .key_dim = 4, .value_dim = 6, .kv_stride = 2},
               Uib{.kernel1 = 3, .kernel2 = 0, .expanded = 16, .width = 8}}};
  a.head = {.width = 16, .features = 24};
  return a;
}

class SmallHybrid : public FolderTest {
 protected:
  SmallHybrid() : graph_(lower(small_hybrid())), store_(graph_) { fill(store_); }

  static torch::Tensor logits(const Graph& graph, ParameterStore& store) {
    at::NoGradGuard no_grad;
    return Executor(graph, store).forward(uniform(1, {3, 1, 16, 16}), NormMode::kRunning);
  }

  Graph graph_;
  ParameterStore store_;
};

}  // namespace ridgewalk
