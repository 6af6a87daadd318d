#include "experiments/run/fingerprint.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "experiments/run/run_folder.h"
#include "space/number.h"

namespace ridgewalk {
namespace {

std::string fingerprint(const ParameterStore& weights) {
  const torch::Tensor values = weights.values().cpu().to(torch::kDouble);
  // A position-dependent sum: weights in another order are other weights.
  const torch::Tensor places = torch::arange(1, values.numel() + 1, torch::kDouble).fmod_(1009);
  return fmt::format(" weights {}", (values * places).sum().item<double>());
}

// What a model has beside its ridge point.
std::string fingerprint(const LatencyModel& model) {
  std::string text = fmt::format(" {} peak {} depthwise {} overhead {} floor {} cache {} at {}",
                                 to_string(model.data_type), model.peak.value, model.depthwise_cost,
                                 model.op_overhead.value, model.floor.value, model.cache.value,
                                 model.cache_bandwidth.value);
  for (const OpLaw& law : model.laws) {
    text += fmt::format(" {} {} {} {} {} {}", law.kind, law.overhead_us, law.gmacs.value_or(0),
                        law.weights, law.input, law.output);
  }
  for (const ReadBandwidth& one : model.bandwidths) {
    text += fmt::format(" {}={}", one.set.value, one.bandwidth.value);
  }
  return text;
}

std::string fingerprint(const Reward& reward) {
  std::string text;
  for (const Target& target : reward.targets) {
    text += target.reduce == Reduce::kWorst ? " worst" : " mean";
    for (size_t i = 0; i < target.latency.size(); ++i) {
      const LatencyModel& model = target.models[i];
      text += fmt::format(" {}={}", model.ridge_point.value, target.latency[i].value);
      const bool is_ridge_point = model.is_plain() && model.data_type == DataType::kInt8;
      if (!is_ridge_point) text += fingerprint(model);
    }
  }
  return text;
}

std::string fingerprint(const Compute& compute) {
  return fmt::format(" {} {} {} threads", compute.device.str(), to_string(compute.precision),
                     at::get_num_threads());
}

}  // namespace

std::string fingerprint(const Distillation& distillation, const Dataset& data) {
  if (distillation.labels) return fmt::format(" distilled {}", distillation.labels->hash);
  if (distillation.teacher) {
    return fmt::format(" teacher {}", Teacher(*distillation.teacher, data, {}).hash());
  }
  return "";
}

std::optional<int> threads_of_run(const std::string& folder) {
  std::string inputs = RunFolder::fingerprint_of(folder);
  inputs.resize(std::min(inputs.size(), inputs.rfind(kDataLine)));
  const size_t end = inputs.rfind(" threads");  // as fingerprint(Compute) writes it
  if (end == std::string::npos) return std::nullopt;
  const size_t begin = inputs.find_last_of(' ', end - 1) + 1;
  const auto threads = parse_whole(inputs.substr(begin, end - begin));
  return threads ? std::optional(int(*threads)) : std::nullopt;
}

std::optional<DataType> precision_of_run(const std::string& folder, torch::Device device) {
  const std::string text = RunFolder::fingerprint_of(folder);
  for (const DataType precision : {DataType::kFp32, DataType::kBf16}) {
    const std::string compute = fingerprint(Compute{.device = device, .precision = precision});
    if (text.find(compute) != std::string::npos) return precision;
  }
  return std::nullopt;
}

std::string fingerprint(const RunInputs& inputs) {
  std::string text;
  for (const std::string& one : inputs.texts) text.append(one).append("\n");
  text += inputs.settings;
  if (inputs.weights != nullptr) text += fingerprint(*inputs.weights);
  if (inputs.reward != nullptr) text += fingerprint(*inputs.reward);
  for (const Distillation* distillation : inputs.distillations) {
    text += fingerprint(*distillation, inputs.data);
  }
  text += fingerprint(inputs.compute) + inputs.more;
  return text + fmt::format("{}{} {:016x}", kDataLine, inputs.data.name, hash_of(inputs.data));
}

}  // namespace ridgewalk
