#include "supernet/quantization/quantized_onnx.h"

#include <algorithm>

#include "space/error.h"
#include "supernet/formats/onnx_graph.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {
namespace {

class QdqGraph : public OnnxGraph {
 public:
  QdqGraph(const QuantizedNetwork& network, const OnnxOptions& options)
      : OnnxGraph(network.quantized.graph, options), network_(network) {}

 private:
  void add_parameter(int op, const Parameter& parameter) override {
    const torch::Tensor& tensor = network_.tensors.at(parameter.name);
    if (tensor.is_floating_point()) {
      initializer(parameter.name, tensor);
      return;
    }
    torch::Tensor scale = torch::tensor(network_.quantized.weights[size_t(op)]->scales);
    if (parameter.role == ParameterRole::kBias) {
      const int input = network_.quantized.graph.ops[size_t(op)].inputs[0];
      scale = scale * network_.quantized.values[size_t(input)]->scale;
    }
    if (scale.numel() == 1) scale = scale.squeeze();
    const Names inputs = {initializer(parameter.name + ".quantized", tensor),
                          initializer(parameter.name + ".scale", scale),
                          initializer(parameter.name + ".zero_point",
                                      torch::zeros(scale.sizes(), tensor.scalar_type()))};
    onnx::NodeProto& dequantize = add("DequantizeLinear", parameter.name, inputs);
    if (scale.dim() == 1) attribute(dequantize, "axis", int64_t{0});
  }

  std::string stored(int op, const std::string& value) override {
    const std::optional<ValueScale>& scale = network_.quantized.values[size_t(op)];
    if (!scale) return value;
    // As u8, whose zero point is moved: ONNX Runtime multiplies and adds integers of one type
    // alone.
    const int moved = scale->zero_point + (scale->type == IntegerType::kS8 ? 128 : 0);
    const auto factor = initializer(value + ".scale", torch::full({}, scale->scale));
    const auto zero = initializer(value + ".zero_point", torch::full({}, moved, torch::kByte));
    const auto integers = node("QuantizeLinear", value + ".quantized", {value, factor, zero});
    return node("DequantizeLinear", value + ".dequantized", {integers, factor, zero});
  }

  bool is_integer(int op) const override {
    return network_.quantized.values[size_t(op)].has_value();
  }

  const QuantizedNetwork& network_;
};

}  // namespace

void write_quantized_onnx(const std::string& path, const QuantizedNetwork& network,
                          const OnnxOptions& options) {
  if (options.opset < kOldestQuantizedOpset) {
    throw Error(path, 0,
                "has no scales per channel in opset " + std::to_string(options.opset) +
                    "; choose 13 or newer");
  }
  QdqGraph(network, options).write(path, network.provenance);
}

std::vector<int> fp32_ops(const QuantizedGraph& quantized) {
  const std::vector<Op>& ops = quantized.graph.ops;
  const std::vector<int> uses = use_counts(quantized.graph);
  std::vector<bool> gives_integers(ops.size());  // or the unrounded sum of a step
  std::vector<int> fp32;
  for (size_t i = 0; i < ops.size(); ++i) {
    const auto is_integer = [&](int input) { return gives_integers[size_t(input)]; };
    const bool computes_integers = std::ranges::all_of(ops[i].inputs, is_integer) &&
                                   (quantized.weights[i] || !multiplies_weights(ops[i].kind));
    if (!computes_integers && i > 0) fp32.push_back(int(i));
    gives_integers[i] = quantized.values[i] ||
                        (computes_integers && is_step_with_relu(quantized.graph, uses, int(i)));
  }
  return fp32;
}

std::string int8_summary(const QuantizedGraph& quantized) {
  const std::vector<Op>& ops = quantized.graph.ops;
  const std::vector<int> fp32 = fp32_ops(quantized);
  const size_t all = ops.size() - 1;  // the input is none
  std::string text =
      std::to_string(all - fp32.size()) + " of " + std::to_string(all) + " operations int8";
  for (const int i : fp32) {
    text += (i == fp32.front() ? "; fp32: " : ", ") + ops[size_t(i)].name + " (" +
            std::string(to_string(ops[size_t(i)].kind)) + ")";
  }
  return text;
}

}  // namespace ridgewalk
