#include "supernet/quantization/noise.h"

#include <algorithm>
#include <cmath>

#include "supernet/network/executor.h"
#include "supernet/quantization/quantized_executor.h"

namespace ridgewalk {
namespace {

constexpr int64_t kHeldElements = int64_t{1} << 26;  // of all values of some images at once

struct Energies {
  double signal = 0, noise = 0;
  double decibels() const { return 10 * std::log10(signal / noise); }
  void add(const torch::Tensor& x, const torch::Tensor& y) {
    signal += x.pow(2).sum(torch::kDouble).item<double>();
    noise += (x - y).pow(2).sum(torch::kDouble).item<double>();
  }
};

// How many images' values are held at once.
int64_t images_at_once(const Graph& graph) {
  int64_t elements = 0;
  for (const Op& op : graph.ops) elements += op.output.elements();
  return std::max<int64_t>(1, kHeldElements / elements);
}

void add_energies(const Executor& exact, const std::vector<torch::Tensor>& values,
                  const QuantizedExecutor& executor, const torch::Tensor& images,
                  std::vector<Energies>& energies) {
  exact.forward(images, NormMode::kRunning);
  executor.run_each(images, [&](int i, const torch::Tensor& value) {
    energies[size_t(i)].add(i == 0 ? images : values[size_t(i)], value);
    return false;
  });
}

}  // namespace

std::vector<std::optional<double>> signal_to_noise(Network& folded, const QuantizedNetwork& network,
                                                   const CalibrationBatches& batches,
                                                   FloatInputs float_inputs) {
  at::NoGradGuard no_grad;
  const size_t count = folded.graph.ops.size();
  std::vector<Energies> energies(count);
  std::vector<torch::Tensor> values(count);
  Executor exact(folded.graph, folded.parameters);
  size_t next = 1;
  exact.observe([&](const Op&, const torch::Tensor& value) {
    values[next] = value;
    next = next + 1 == count ? 1 : next + 1;
  });
  const QuantizedExecutor executor(network, Products::kFast, float_inputs);
  const int64_t at_once = images_at_once(folded.graph);
  for (int64_t b = 0; b < batches.count; ++b) {
    const torch::Tensor batch = batches.batch(b);
    for (const torch::Tensor& images : batch.split(at_once)) {
      if (images.size(0) > 0) add_energies(exact, values, executor, images, energies);
    }
  }
  std::vector<std::optional<double>> result(count);
  for (size_t i = 0; i < count; ++i) {
    const bool is_last = i + 1 == count;
    if (is_last || network.quantized.values[i] || network.quantized.weights[i]) {
      result[i] = energies[i].decibels();
    }
  }
  return result;
}

double logits_signal_to_noise(const QuantizedNetwork& network, const CalibrationBatches& batches,
                              const std::vector<torch::Tensor>& logits) {
  at::NoGradGuard no_grad;
  const QuantizedExecutor executor(network);
  Energies energies;
  for (int64_t b = 0; b < batches.count; ++b) {
    const torch::Tensor batch = batches.batch(b);
    if (batch.size(0) > 0) energies.add(logits[size_t(b)], executor.forward(batch));
  }
  return energies.decibels();
}

double class_divergence(const QuantizedNetwork& network, const CalibrationBatches& batches,
                        const std::vector<torch::Tensor>& logits) {
  at::NoGradGuard no_grad;
  const QuantizedExecutor executor(network);
  double sum = 0;
  int64_t images = 0;
  for (int64_t b = 0; b < batches.count; ++b) {
    const torch::Tensor batch = batches.batch(b);
    if (batch.size(0) == 0) continue;
    const auto exact = logits[size_t(b)].to(torch::kDouble).log_softmax(1);
    const auto rounded = executor.forward(batch).to(torch::kDouble).log_softmax(1);
    sum += (exact.exp() * (exact - rounded)).sum().item<double>();
    images += batch.size(0);
  }
  return sum / double(images);
}

std::vector<torch::Tensor> exact_logits(Network& folded, const CalibrationBatches& batches) {
  at::NoGradGuard no_grad;
  const Executor executor(folded.graph, folded.parameters);
  std::vector<torch::Tensor> logits;
  for (int64_t b = 0; b < batches.count; ++b) {
    const torch::Tensor batch = batches.batch(b);
    logits.push_back(batch.size(0) > 0 ? executor.forward(batch, NormMode::kRunning)
                                       : torch::Tensor());
  }
  return logits;
}

std::vector<Sensitivity> sensitivities(const PostTraining& quantization,
                                       const CalibrationBatches& batches) {
  const Graph& graph = quantization.folded().graph;
  const std::vector<torch::Tensor> logits = exact_logits(quantization.folded(), batches);
  const double before = logits_signal_to_noise(quantization.rounded(), batches, logits);
  std::vector<Sensitivity> result;
  for (const Op& op : graph.ops) {
    if (!multiplies_weights(op.kind) || quantization.fp32_ops().contains(op.name)) continue;
    const double decibels =
        logits_signal_to_noise(quantization.rounded({op.name}), batches, logits);
    result.push_back({op.name, decibels - before});
  }
  std::stable_sort(result.begin(), result.end(), [](const Sensitivity& a, const Sensitivity& b) {
    return a.gain_db > b.gain_db;
  });
  return result;
}

}  // namespace ridgewalk
