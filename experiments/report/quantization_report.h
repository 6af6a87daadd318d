// What `ridgewalk quantize` measured: its JSON, its lines and its page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/run/json.h"
#include "supernet/quantization/noise.h"
#include "supernet/training/evaluate.h"

namespace ridgewalk {

// Of one network on the test images.
struct MeasuredWeights {
  Accuracy accuracy;
  int64_t bytes = 0;  // of weights, biases and scales
};

struct KeptInFp32 {
  std::vector<std::string> ops;  // the most sensitive ones
  MeasuredWeights measured;
};

struct QuantizationResult {
  std::string network, method, data;
  Json options;
  MeasuredWeights fp32, int8;
  std::vector<RangeTrial> range_trials = {};
  QuantizedGraph graph = {};
  std::vector<std::optional<double>> decibels = {};  // one per op: signal_to_noise()
  std::vector<Sensitivity> sensitivities = {};
  std::vector<KeptInFp32> kept_in_fp32 = {};
};

// Names of the ops that do not give integers from integers, with their ReLU: softmax and what feeds
// it, the logits, what is kept in fp32.
std::vector<std::string> fp32_results(const QuantizedGraph& quantized);

// With top-1 as shares, sizes in bytes, noise in dB.
Json quantization_json(const QuantizationResult& result);
std::string quantization_text(const QuantizationResult& result);

}  // namespace ridgewalk
