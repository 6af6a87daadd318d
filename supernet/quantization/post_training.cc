#include "supernet/quantization/post_training.h"

#include <algorithm>

#include "space/error.h"
#include "supernet/quantization/adaptive_rounding.h"
#include "supernet/quantization/bias_correction.h"
#include "supernet/quantization/equalization.h"
#include "supernet/quantization/noise.h"

namespace ridgewalk {
namespace {

void require_norms(const Graph& graph, bool equalizes) {
  const std::string option = "bias correction by norms: ";
  if (equalizes) {
    throw Error(option +
                "equalisation moves what they say; leave one of the two out, or correct "
                "by data");
  }
  const bool has_norms = std::any_of(graph.ops.begin(), graph.ops.end(),
                                     [](const Op& op) { return op.kind == OpKind::kNorm; });
  if (!has_norms) {
    throw Error(option +
                "the weights have theirs folded in; give those of the training, or correct "
                "by data");
  }
}

}  // namespace

PostTraining::PostTraining(const Network& network, CalibrationBatches batches,
                           PostTrainingOptions options)
    : trained_(network),
      folded_(std::make_unique<Network>(fold_norms(network.graph, network.parameters))),
      batches_(std::move(batches)),
      options_(std::move(options)) {
  folded_->provenance = network.provenance;
  if (options_.bias_correction == BiasCorrection::kNorms) {
    require_norms(network.graph, options_.equalizes);
  }
  if (options_.equalizes) equalized_pairs_ = equalize(*folded_);
  if (!options_.rewrite.rounds_values) return;
  calibration_ = nearest(calibrate(*folded_, value_forms(folded_->graph, options_.rewrite),
                                   batches_, options_.calibrations));
  options_.rewrite.range_rule = calibration_.rule;
}

Calibration PostTraining::nearest(std::vector<Calibration> calibrations) {
  if (calibrations.size() == 1) return std::move(calibrations[0]);
  const std::vector<torch::Tensor> logits = exact_logits(*folded_, batches_);
  for (const Calibration& each : calibrations) {
    const QuantizedNetwork network = quantize(*folded_, each.ranges, options_.rewrite);
    range_trials_.push_back({each.rule, class_divergence(network, batches_, logits)});
  }
  const auto best = std::ranges::min_element(range_trials_, {}, &RangeTrial::divergence);
  return std::move(calibrations[size_t(best - range_trials_.begin())]);
}

QuantizedNetwork PostTraining::rounded(const std::set<std::string>& more) const {
  RewriteOptions rewrite = options_.rewrite;
  rewrite.fp32_ops.insert(more.begin(), more.end());
  return quantize(*folded_, calibration_.ranges, rewrite);
}

QuantizedNetwork PostTraining::quantized(const std::set<std::string>& more) const {
  QuantizedNetwork network = rounded(more);
  if (options_.rounding == WeightRounding::kAdaptive) round_adaptively(network, *folded_, batches_);
  if (options_.bias_correction == BiasCorrection::kData) {
    correct_biases(network, *folded_, batches_);
  } else if (options_.bias_correction == BiasCorrection::kNorms) {
    correct_biases(network, *folded_, trained_.graph, trained_.parameters);
  }
  return network;
}

}  // namespace ridgewalk
