#include "supernet/training/evaluate.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "space/error.h"
#include "supernet/training/lanes.h"
#include "supernet/training/step_exchange.h"

namespace ridgewalk {
namespace {

// Of one batch: sums over its images.
struct BatchResult {
  double top1 = 0, top5 = 0, loss = 0;
  int64_t not_finite = 0;
  std::vector<int64_t> asked = {};  // labels of all images
  std::vector<int64_t> seen = {};   // of those that were decoded
};

std::vector<int64_t> labels_of(const ImageSet& set, const std::vector<int64_t>& images) {
  std::vector<int64_t> labels;
  for (int64_t n : images) labels.push_back(set.labels.data_ptr<int64_t>()[n]);
  return labels;
}

BatchResult evaluate_batch(const LogitsOf& logits_of, const Graph& graph, const Dataset& data,
                           const ImageSet& set, const std::vector<int64_t>& images,
                           const Compute& compute) {
  at::NoGradGuard no_grad;
  const Autocast autocast(compute.precision, compute.device);
  BatchResult result;
  result.asked = labels_of(set, images);
  const Batch batch = make_evaluation_batch(data, set, images);
  const auto* labels = batch.labels.data_ptr<int64_t>();
  result.seen.assign(labels, labels + batch.labels.size(0));
  if (result.seen.empty()) return result;
  const int64_t classes = graph.ops.back().output.channels;
  const auto input = network_input(batch.images, graph, compute.device);
  const auto logits = logits_of(input).to(torch::kFloat).cpu();
  result.not_finite = logits.isfinite().all(1).logical_not().sum().item<int64_t>();
  const auto ranked = std::get<1>(logits.topk(std::min<int64_t>(5, classes), 1));
  const auto hits = ranked.eq(batch.labels.unsqueeze(1));
  result.top1 = double(hits.select(1, 0).sum().item<int64_t>());
  result.top5 = double(hits.sum().item<int64_t>());
  result.loss =
      torch::cross_entropy_loss(logits, batch.labels, {}, at::Reduction::Sum).item<double>();
  return result;
}

// A batch of `count` images as numbers, of which there are as many whatever it held: kHead of them,
// then the labels that were seen.
constexpr int64_t kHead = 5;

torch::Tensor packed_result(const BatchResult& result, int64_t count) {
  torch::Tensor numbers = torch::full({kHead + count}, -1, torch::kDouble);
  auto* to = numbers.data_ptr<double>();
  const double head[kHead] = {result.top1, result.top5, result.loss, double(result.not_finite),
                              double(result.seen.size())};
  std::copy(std::begin(head), std::end(head), to);
  std::copy(result.seen.begin(), result.seen.end(), to + kHead);
  return numbers;
}

BatchResult unpacked_result(const torch::Tensor& numbers, std::vector<int64_t> asked) {
  const auto* from = numbers.data_ptr<double>();
  return {.top1 = from[0],
          .top5 = from[1],
          .loss = from[2],
          .not_finite = int64_t(from[3]),
          .asked = std::move(asked),
          .seen = {from + kHead, from + kHead + int64_t(from[4])}};
}

// Gives every process the results of the batches that others have evaluated.
void exchange_results(ProcessGroup& group, const ImageSet& set,
                      const std::vector<std::vector<int64_t>>& batches,
                      std::vector<BatchResult>& results) {
  std::vector<StepPiece> pieces;
  for (size_t b = 0; b < batches.size(); ++b) {
    pieces.push_back({.owner = int(b) % group.size(),
                      .values = {packed_result(results[b], int64_t(batches[b].size()))}});
  }
  exchange_values(group, pieces);
  for (size_t b = 0; b < batches.size(); ++b) {
    results[b] = unpacked_result(pieces[b].values[0], labels_of(set, batches[b]));
  }
}

}  // namespace

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

void require_finite(const Accuracy& accuracy, const std::string& weights) {
  if (accuracy.not_finite == 0 && std::isfinite(accuracy.loss)) return;
  throw Error(weights, 0,
              "gives logits or a loss that are not finite (logits of " +
                  std::to_string(accuracy.not_finite) + " of " + std::to_string(accuracy.images) +
                  " images); the weights are damaged or too large for the precision");
}

Accuracy evaluate(const Executor& network, const Dataset& data, const ImageSet& set,
                  const Compute& compute, const EvaluationOptions& options) {
  return evaluate(
      [&](const torch::Tensor& images) { return network.forward(images, options.mode); },
      network.graph(), data, set, compute, options);
}

Accuracy evaluate(const LogitsOf& logits_of, const Graph& graph, const Dataset& data,
                  const ImageSet& set, const Compute& compute, const EvaluationOptions& options) {
  // Batches of equal size, as far as possible: a short last one would have other statistics.
  const int64_t count = std::min(set.size(), options.most);
  const int64_t number = (count + options.batch_size - 1) / options.batch_size;
  std::vector<std::vector<int64_t>> batches;
  for (int64_t b = 0; b < number; ++b) {
    std::vector<int64_t>& images = batches.emplace_back();
    for (int64_t n = b * count / number; n < (b + 1) * count / number; ++n) {
      images.push_back(n * set.size() / count);
    }
  }
  std::vector<BatchResult> results(batches.size());
  const std::vector<int64_t> own = dealt(number, compute.group.get());
  in_lanes(compute.lanes, int64_t(own.size()), [&](int64_t i) {
    const auto b = size_t(own[size_t(i)]);
    results[b] = evaluate_batch(logits_of, graph, data, set, batches[b], compute);
  });
  if (compute.group) exchange_results(*compute.group, set, batches, results);
  Accuracy sum;
  std::vector<char> asked(size_t(data.classes), options.of_all_classes), seen(asked.size());
  for (const BatchResult& result : results) {
    sum.top1 += result.top1;
    sum.top5 += result.top5;
    sum.loss += result.loss;
    sum.not_finite += result.not_finite;
    sum.images += int64_t(result.seen.size());
    sum.undecodable += int64_t(result.asked.size() - result.seen.size());
    for (int64_t label : result.asked) asked[size_t(label)] = 1;
    for (int64_t label : result.seen) seen[size_t(label)] = 1;
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
