// What tests on every device share. The environment names the device, the CPU unless told:
//   RIDGEWALK_TEST_DEVICE=cuda build/ci/tests/ridgewalk_supernet_tests --gtest_filter='OnDevice.*'
#pragma once

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/network/device.h"
#include "supernet/training/evaluate.h"
#include "tests/tiny_dataset.h"

namespace ridgewalk {

class OnDevice : public TinyDataset {
 protected:
  OnDevice() {
    const char* name = std::getenv("RIDGEWALK_TEST_DEVICE");
    compute_.device = device_named(name != nullptr ? name : "cpu");
    at::globalContext().setAllowTF32CuDNN(false);  // which has 11 bits
    torch::manual_seed(1);
    at::set_num_threads(1);
  }

  // A network of the space without attention, and one with it.
  static Decisions sample_of(const SearchSpace& space, bool with_attention) {
    std::mt19937_64 random(1);
    while (true) {
      const Decisions decisions = sample(space, random);
      const Graph graph = lower(decode(space, decisions));
      if (with_attention == std::any_of(graph.ops.begin(), graph.ops.end(), [](const Op& op) {
            return op.kind == OpKind::kAttentionScores;
          })) {
        return decisions;
      }
    }
  }
  static Architecture network() {
    const SearchSpace space = load_search_space("fashion-mnist");
    Architecture architecture = decode(space, sample_of(space, true));
    architecture.regularization = {.drop_path = 0.1, .dropout = 0.2};
    return architecture;
  }
  torch::Tensor random_images(const Graph& graph, int64_t batch) const {
    const Shape& image = graph.ops[0].output;
    return torch::randn({batch, image.channels, image.height, image.width})
        .contiguous(torch::MemoryFormat::ChannelsLast)
        .to(compute_.device);
  }

  const SearchSpace space_ = load_search_space("fashion-mnist");
  Compute compute_;
};

inline double distance(const torch::Tensor& a, const torch::Tensor& b) {
  const auto wide_a = a.detach().cpu().to(torch::kDouble);
  const auto wide_b = b.detach().cpu().to(torch::kDouble);
  return ((wide_a - wide_b).abs().max() / wide_b.abs().max().clamp_min(1e-3)).item<double>();
}

}  // namespace ridgewalk
