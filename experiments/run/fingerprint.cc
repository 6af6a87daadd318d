#include "experiments/run/fingerprint.h"

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
  return fmt::format("shared weights: {}\n", (values * places).sum().item<double>());
}

// What a model has beside its ridge point.
std::string fingerprint(const LatencyModel& model) {
  std::string text = fmt::format(" {} peak {} depthwise {} overhead {} floor {} cache {} at {}",
                                 to_string(model.data_type), model.peak.value, model.depthwise_cost,
                                 model.op_overhead.value, model.floor.value, model.cache.value,
                                 model.cache_bandwidth.value);
  if (model.head_type) {
    text += fmt::format(" head {} at {}", to_string(*model.head_type), model.head_mac_cost);
  }
  if (model.batch != 1) text += fmt::format(" batch {}", model.batch);
  if (model.kernels != KernelConvention::kFused) {
    text += " kernels " + std::string(to_string(model.kernels));
  }
  for (const OpLaw& law : model.laws) {
    text += fmt::format(" {} {} {} {} {} {}", law.kind, law.overhead_us, law.gmacs.value_or(0),
                        law.weights, law.input, law.output);
  }
  for (const ReadBandwidth& one : model.bandwidths) {
    text += fmt::format(" {}={}", one.set.value, one.bandwidth.value);
  }
  if (model.resource != Resource::kLatency) {
    text += fmt::format(" {} {} pJ/MAC {} pJ/byte", to_string(model.resource),
                        model.picojoules_per_mac, model.picojoules_per_byte);
  }
  return text;
}

std::string fingerprint(const Reward& reward) {
  std::string text;
  for (const Target& target : reward.targets) {
    text += target.reduce == Reduce::kWorst ? "target: worst" : "target: mean";
    for (size_t i = 0; i < target.latency.size(); ++i) {
      const LatencyModel& model = target.models[i];
      text += fmt::format(" {}={}", model.ridge_point.value, target.latency[i].value);
      const bool is_ridge_point = model.is_plain() && model.data_type == DataType::kInt8;
      if (!is_ridge_point) text += fingerprint(model);
    }
    if (target.is_limit) text += " limit";
    text += "\n";
  }
  return text;
}

// Whichever GPU of a machine it is.
std::string kind_of(torch::Device device) { return torch::Device(device.type()).str(); }

std::string fingerprint(const Compute& compute) {
  return fmt::format("{}{}\nprecision: {}\nthreads: {}\n", kDeviceKey, kind_of(compute.device),
                     to_string(compute.precision), at::get_num_threads());
}

// The value of the last line with this key before the data's; earlier ones are of configurations.
std::string value_of(const std::string& fingerprint, const std::string& key) {
  const std::string inputs = fingerprint.substr(0, fingerprint.rfind(kDataLine));
  const size_t found = inputs.rfind("\n" + key + ": ");
  if (found == std::string::npos) return "";
  const size_t begin = found + key.size() + 3;
  return inputs.substr(begin, inputs.find('\n', begin) - begin);
}

// How pixels become the network's input.
std::string normalization(const Dataset& data) {
  std::string mean = "mean:", deviation = "deviation:";
  for (size_t c = 0; c < size_t(data.channels); ++c) {
    mean += fmt::format(" {}", data.mean[c]);
    deviation += fmt::format(" {}", data.deviation[c]);
  }
  return mean + "\n" + deviation;
}

}  // namespace

std::string fingerprint(const Distillation& distillation, const Dataset& data) {
  if (distillation.labels) return fmt::format(" distilled {}", distillation.labels->hash);
  if (distillation.teacher) {
    return fmt::format(" teacher {}", Teacher(*distillation.teacher, data, {}).hash());
  }
  return "";
}

std::string start_fingerprint(const SupernetOptions& options) {
  if (options.start.empty()) return "";
  return fmt::format("start: contents {:016x}\n", weights_hash(options.start));
}

std::optional<int> threads_of_run(const std::string& folder) {
  const auto threads = parse_whole(value_of(RunFolder::fingerprint_of(folder), "threads"));
  return threads ? std::optional(int(*threads)) : std::nullopt;
}

std::optional<DataType> precision_of(const std::string& fingerprint, torch::Device device) {
  if (value_of(fingerprint, "device") != kind_of(device)) return std::nullopt;
  for (const DataType precision : {DataType::kFp32, DataType::kBf16}) {
    if (value_of(fingerprint, "precision") == to_string(precision)) return precision;
  }
  return std::nullopt;
}

std::optional<DataType> precision_of_run(const std::string& folder, torch::Device device) {
  return precision_of(RunFolder::fingerprint_of(folder), device);
}

std::string fingerprint(const RunInputs& inputs) {
  std::string text;
  for (const std::string& one : inputs.texts) text.append(one).append("\n");
  text += inputs.settings;
  if (inputs.weights != nullptr) text += fingerprint(*inputs.weights);
  if (inputs.reward != nullptr) text += fingerprint(*inputs.reward);
  for (const Distillation* distillation : inputs.distillations) {
    if (*distillation) text += "labels:" + fingerprint(*distillation, inputs.data) + "\n";
  }
  text += fingerprint(inputs.compute) + inputs.more;
  return text + fmt::format("{}{} {:016x}\n{}", kDataLine, inputs.data.name, hash_of(inputs.data),
                            normalization(inputs.data));
}

}  // namespace ridgewalk
