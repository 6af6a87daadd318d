// The loss that training minimises, and the accuracy of a network on a set of images.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "supernet/data/batch.h"
#include "supernet/network/executor.h"
#include "supernet/network/precision.h"
#include "supernet/training/process_group.h"

namespace ridgewalk {

struct Accuracy {
  double top1 = 0;  // in [0, 1]
  double top5 = 0;
  double loss = 0;                             // mean cross-entropy
  int64_t images = 0;                          // that all three are means over
  int64_t undecodable = 0;                     // left out
  int64_t not_finite = 0;                      // of `images`: a logit is NaN or infinite
  std::vector<std::string> lost_classes = {};  // of whose images none could be decoded
};

// Throws Error naming the weights when a logit or the loss is not finite.
void require_finite(const Accuracy& accuracy, const std::string& weights);

// How computations run.
struct Compute {
  torch::Device device = torch::kCPU;
  DataType precision = DataType::kFp32;
  std::optional<int> loader_threads = {};  // that make batches ahead; else as many as these need
  // Independent pieces of work at a time (supernet/training/lanes.h), such as the samples of a step
  // and the batches of an evaluation, each on at::get_num_threads() threads. Results do not depend
  // on it.
  int lanes = 1;
  // That share out such pieces, each in lanes of its own; empty for this process alone. Results do
  // not depend on it either.
  std::shared_ptr<ProcessGroup> group = {};
};

// Images as the network expects them: on the device, resized to its resolution.
torch::Tensor network_input(const torch::Tensor& images, const Graph& graph, torch::Device device);

// Mean cross-entropy against the batch's soft targets where it has them, else its labels, both
// smoothed: a share of `label_smoothing` is spread evenly over all classes. Targets of a teacher at
// a `temperature` above 1 are compared with the softmax of logits / temperature, and the loss is
// scaled by temperature^2, so that its gradients keep their size (Hinton et al. 2015,
// arXiv:1503.02531, section 2). logits [N, classes].
torch::Tensor classification_loss(const torch::Tensor& logits, const Batch& batch,
                                  double label_smoothing, double temperature = 1);

struct EvaluationOptions {
  NormMode mode = NormMode::kRunning;  // with kBatch the result depends on the batch size
  int64_t batch_size = 500;            // at most
  int64_t most = std::numeric_limits<int64_t>::max();  // images, spread evenly over the set
  // Classes that the set has no image of are lost, too: for a test set, not for a random part.
  bool of_all_classes = false;
};

// In order and without augmentation. Images that cannot be decoded are left out. Throws Error when
// none can be decoded.
Accuracy evaluate(const Executor& network, const Dataset& data, const ImageSet& set,
                  const Compute& compute, const EvaluationOptions& options);

// The same of whatever gives logits [N, classes] for images of the graph's input; several lanes
// call it at once.
using LogitsOf = std::function<torch::Tensor(const torch::Tensor& images)>;
Accuracy evaluate(const LogitsOf& logits_of, const Graph& graph, const Dataset& data,
                  const ImageSet& set, const Compute& compute, const EvaluationOptions& options);

}  // namespace ridgewalk
