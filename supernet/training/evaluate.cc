#include "supernet/training/evaluate.h"

#include <algorithm>

namespace ridgewalk {

torch::Tensor network_input(const torch::Tensor& images, const Graph& graph, torch::Device device) {
  torch::Tensor x = images.to(device);
  const Shape& input = graph.ops[0].output;
  if (x.size(2) == input.height && x.size(3) == input.width) return x;
  return at::upsample_bilinear2d(x, {input.height, input.width}, false)
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor classification_loss(const torch::Tensor& logits, const Batch& batch,
                                  double label_smoothing) {
  const torch::Tensor target =
      (batch.targets.defined() ? batch.targets : batch.labels).to(logits.device());
  return torch::cross_entropy_loss(logits.to(torch::kFloat), target, {}, at::Reduction::Mean, -100,
                                   label_smoothing);
}

Accuracy evaluate(const Executor& network, const Dataset& data, const ImageSet& set, NormMode mode,
                  const Compute& compute, int64_t batch_size, int64_t most) {
  torch::NoGradGuard no_grad;
  const Autocast autocast(compute.precision, compute.device);
  const int64_t classes = network.graph().ops.back().output.channels;
  // Batches as equal as can be: a short last one would have statistics of its own.
  const int64_t count = std::min(set.size(), most);
  const int64_t batches = (count + batch_size - 1) / batch_size;
  Accuracy sum;
  for (int64_t b = 0; b < batches; ++b) {
    std::vector<int64_t> indices;
    for (int64_t n = b * count / batches; n < (b + 1) * count / batches; ++n) {
      indices.push_back(n * set.size() / count);
    }
    const Batch batch = make_batch(data, set, draws(indices, 0), {});
    const auto images = network_input(batch.images, network.graph(), compute.device);
    const auto logits = network.forward(images, mode).to(torch::kFloat).cpu();
    const auto ranked = std::get<1>(logits.topk(std::min<int64_t>(5, classes), 1));
    const auto hits = ranked.eq(batch.labels.unsqueeze(1));
    sum.top1 += double(hits.select(1, 0).sum().item<int64_t>());
    sum.top5 += double(hits.sum().item<int64_t>());
    sum.loss +=
        torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Sum).item<double>();
  }
  const double images = double(count);
  return {sum.top1 / images, sum.top5 / images, sum.loss / images};
}

}  // namespace ridgewalk
