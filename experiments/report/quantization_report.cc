#include "experiments/report/quantization_report.h"

#include <algorithm>

#include <fmt/format.h>

namespace ridgewalk {
namespace {

constexpr size_t kNoisiest = 5;  // ops that quantization_text() names

Json measured_json(const MeasuredWeights& measured) {
  return {{"top1", measured.accuracy.top1},
          {"top5", measured.accuracy.top5},
          {"loss", measured.accuracy.loss},
          {"bytes", measured.bytes}};
}

Json ops_json(const QuantizationResult& result) {
  Json ops = Json::array();
  for (size_t i = 0; i < result.graph.graph.ops.size(); ++i) {
    const Op& op = result.graph.graph.ops[i];
    const auto& value = result.graph.values[i];
    const auto& weight = result.graph.weights[i];
    Json row = {{"name", op.name},
                {"kind", to_string(op.kind)},
                {"value", value ? Json(to_string(value->type)) : Json("fp32")},
                {"value_rule", value ? Json(value->rule) : Json()},
                {"weight_rule", weight ? Json(weight->rule) : Json()}};
    const auto& decibels = result.decibels.empty() ? std::nullopt : result.decibels[i];
    row["signal_to_noise_db"] = decibels ? number_or_null(*decibels) : Json();
    ops.push_back(std::move(row));
  }
  return ops;
}

// One line each, in columns.
std::string measured_text(
    const std::vector<std::pair<std::string, const MeasuredWeights*>>& labelled) {
  size_t width = 0;
  for (const auto& [label, measured] : labelled) width = std::max(width, label.size());
  std::string text;
  for (const auto& [label, measured] : labelled) {
    const Accuracy& accuracy = measured->accuracy;
    text += fmt::format("  {:<{}}  top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}, {:.1f} KiB\n",
                        label, width, 100 * accuracy.top1, 100 * accuracy.top5, accuracy.loss,
                        double(measured->bytes) / 1024);
  }
  return text;
}

// The least signal to noise first.
std::string noisiest_text(const QuantizationResult& result) {
  std::vector<size_t> order;
  for (size_t i = 0; i < result.decibels.size(); ++i) {
    if (result.decibels[i]) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return *result.decibels[a] < *result.decibels[b]; });
  order.resize(std::min(order.size(), kNoisiest));
  std::string text;
  for (size_t i : order) {
    text += fmt::format("{}{} {:.1f} dB", text.empty() ? "" : ", ", result.graph.graph.ops[i].name,
                        *result.decibels[i]);
  }
  return text.empty() ? "" : "  most noise: " + text + "\n";
}

std::string range_trials_text(const std::vector<RangeTrial>& trials) {
  std::string text;
  for (const RangeTrial& trial : trials) {
    text += fmt::format("{}{:.4f} by {}", text.empty() ? "" : ", ", trial.divergence, trial.rule);
  }
  return text.empty() ? "" : "  divergence of the classes, the least is taken: " + text + "\n";
}

}  // namespace

std::vector<std::string> fp32_results(const QuantizedGraph& quantized) {
  const Graph& graph = quantized.graph;
  const std::vector<int> uses = use_counts(graph);
  std::vector<std::string> names;
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const bool has_integers = std::all_of(op.inputs.begin(), op.inputs.end(), [&](int input) {
      return quantized.values[size_t(input)].has_value() || is_step_with_relu(graph, uses, input);
    });
    const bool gives_integers = quantized.values[i] || is_step_with_relu(graph, uses, int(i));
    const bool has_weights = !multiplies_weights(op.kind) || quantized.weights[i];
    if (!has_integers || !gives_integers || !has_weights) names.push_back(op.name);
  }
  return names;
}

Json quantization_json(const QuantizationResult& result) {
  Json sensitivities = Json::array(), kept = Json::array(), trials = Json::array();
  for (const Sensitivity& sensitivity : result.sensitivities) {
    sensitivities.push_back({{"name", sensitivity.op}, {"gain_db", sensitivity.gain_db}});
  }
  for (const RangeTrial& trial : result.range_trials) {
    trials.push_back(
        {{"rule", trial.rule}, {"class_divergence", number_or_null(trial.divergence)}});
  }
  for (const KeptInFp32& some : result.kept_in_fp32) {
    Json row = measured_json(some.measured);
    row["ops"] = some.ops;
    row["gain_points"] = 100 * (some.measured.accuracy.top1 - result.int8.accuracy.top1);
    kept.push_back(std::move(row));
  }
  return {{"name", result.network},
          {"method", result.method},
          {"data", result.data},
          {"split", "test"},
          {"images", result.fp32.accuracy.images},
          {"options", result.options},
          {"fp32", measured_json(result.fp32)},
          {"int8", measured_json(result.int8)},
          {"drop_points", 100 * (result.fp32.accuracy.top1 - result.int8.accuracy.top1)},
          {"fp32_results", fp32_results(result.graph)},
          {"ops", ops_json(result)},
          {"range_trials", trials},
          {"sensitivities", sensitivities},
          {"kept_in_fp32", kept}};
}

std::string quantization_text(const QuantizationResult& result) {
  std::string text = fmt::format("{} on the {} test images of {}:\n", result.network,
                                 result.fp32.accuracy.images, result.data);
  std::vector<std::pair<std::string, const MeasuredWeights*>> labelled = {
      {"fp32", &result.fp32}, {"int8 (" + result.method + ")", &result.int8}};
  for (const KeptInFp32& some : result.kept_in_fp32) {
    const std::string which =
        some.ops.size() == 1 ? some.ops[0] : fmt::format("{} ops", some.ops.size());
    labelled.emplace_back(which + " in fp32", &some.measured);
  }
  return text + measured_text(labelled) + range_trials_text(result.range_trials) +
         noisiest_text(result);
}

}  // namespace ridgewalk
