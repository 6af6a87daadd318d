#include "supernet/training/evaluate.h"

#include <algorithm>

#include "space/error.h"

namespace ridgewalk {

torch::Tensor network_input(const torch::Tensor& images, const Graph& graph, torch::Device device) {
  torch::Tensor x = images.to(device, images.scalar_type(), /*non_blocking=*/true);
  const Shape& input = graph.ops[0].output;
  if (x.size(2) == input.height && x.size(3) == input.width) return x;
  return at::upsample_bilinear2d(x, {input.height, input.width}, false)
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

torch::Tensor classification_loss(const torch::Tensor& logits, const Batch& batch,
                                  double label_smoothing, double temperature) {
  const torch::Tensor& given = batch.targets.defined() ? batch.targets : batch.labels;
  const torch::Tensor target = given.to(logits.device(), given.scalar_type(), true);
  const bool tempered = temperature > 1;
  torch::Tensor scores = logits.to(torch::kFloat);
  if (tempered) scores = scores / temperature;
  const torch::Tensor loss =
      torch::cross_entropy_loss(scores, target, {}, at::Reduction::Mean, -100, label_smoothing);
  return tempered ? loss * (temperature * temperature) : loss;
}

Accuracy evaluate(const Executor& network, const Dataset& data, const ImageSet& set,
                  const Compute& compute, const EvaluationOptions& options) {
  at::NoGradGuard no_grad;
  const Autocast autocast(compute.precision, compute.device);
  const int64_t classes = network.graph().ops.back().output.channels;
  // Batches of equal size, as far as possible: a short last one would have other statistics.
  const int64_t count = std::min(set.size(), options.most);
  const int64_t batches = (count + options.batch_size - 1) / options.batch_size;
  Accuracy sum;
  std::vector<char> asked(size_t(data.classes)), seen(size_t(data.classes));
  for (int64_t b = 0; b < batches; ++b) {
    std::vector<int64_t> indices;
    for (int64_t n = b * count / batches; n < (b + 1) * count / batches; ++n) {
      indices.push_back(n * set.size() / count);
      asked[size_t(set.labels.data_ptr<int64_t>()[indices.back()])] = 1;
    }
    const Batch batch = make_evaluation_batch(data, set, indices);
    const int64_t decoded = batch.labels.size(0);
    sum.images += decoded;
    sum.undecodable += int64_t(indices.size()) - decoded;
    if (decoded == 0) continue;
    for (int64_t n = 0; n < decoded; ++n) seen[size_t(batch.labels.data_ptr<int64_t>()[n])] = 1;
    const auto images = network_input(batch.images, network.graph(), compute.device);
    const auto logits = network.forward(images, options.mode).to(torch::kFloat).cpu();
    const auto ranked = std::get<1>(logits.topk(std::min<int64_t>(5, classes), 1));
    const auto hits = ranked.eq(batch.labels.unsqueeze(1));
    sum.top1 += double(hits.select(1, 0).sum().item<int64_t>());
    sum.top5 += double(hits.sum().item<int64_t>());
    sum.loss +=
        torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Sum).item<double>();
  }
  if (sum.images == 0) {
    throw Error(data.name, 0,
                "has no image to evaluate on: none of " + std::to_string(count) +
                    " can be decoded; repair them");
  }
  for (int label = 0; label < data.classes; ++label) {
    if (asked[size_t(label)] && !seen[size_t(label)]) {
      sum.lost_classes.push_back(data.class_text(label));
    }
  }
  const double images = double(sum.images);
  sum.top1 /= images;
  sum.top5 /= images;
  sum.loss /= images;
  return sum;
}

}  // namespace ridgewalk
