// What a network is trained to lower, and its accuracy on a set of images.
#pragma once

#include <limits>
#include <optional>

#include "supernet/data/batch.h"
#include "supernet/network/executor.h"
#include "supernet/network/precision.h"

namespace ridgewalk {

struct Accuracy {
  double top1 = 0;  // in [0, 1]
  double top5 = 0;
  double loss = 0;  // mean cross-entropy
};

// How computations run; everything that takes images takes one.
struct Compute {
  torch::Device device = torch::kCPU;
  DataType precision = DataType::kFp32;
  std::optional<int> loader_threads = {};  // that make batches ahead, if not what fits the data
};

// Images as the network expects them: on the device, resized when the resolutions differ.
torch::Tensor network_input(const torch::Tensor& images, const Graph& graph, torch::Device device);

// Mean cross-entropy against the batch's soft targets where it has them, else its labels, both
// smoothed: a share of `label_smoothing` goes to all classes evenly. logits [N, classes].
torch::Tensor classification_loss(const torch::Tensor& logits, const Batch& batch,
                                  double label_smoothing);

// In order and without augmentation, in batches of at most `batch_size`. With NormMode::kBatch the
// batch size is part of the answer. Over all images, or `most` of them spread evenly over the set.
Accuracy evaluate(const Executor& network, const Dataset& data, const ImageSet& set, NormMode mode,
                  const Compute& compute, int64_t batch_size,
                  int64_t most = std::numeric_limits<int64_t>::max());

}  // namespace ridgewalk
