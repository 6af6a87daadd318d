// A quantised network as ONNX with QuantizeLinear and DequantizeLinear, which runtimes turn into
// operators of integers.
#pragma once

#include <string>
#include <vector>

#include "supernet/formats/onnx.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

inline constexpr int kOldestQuantizedOpset = 13;  // the first with scales per channel

// Writes what QuantizedGraph says: every value with a ValueScale passes through a QuantizeLinear
// and a DequantizeLinear of it, int8 weights and int32 biases through a DequantizeLinear, by output
// channel. Inputs, outputs and checks are those of write_onnx(); `features` are real values. Throws
// Error for an older opset, too.
void write_quantized_onnx(const std::string& path, const QuantizedNetwork& network,
                          const OnnxOptions& options = {});

// Ops that compute in fp32, as ascending indices: those with an input, or weights, that are not
// integers. A ReLU in one step with an op of integers is none of them.
std::vector<int> fp32_ops(const QuantizedGraph& quantized);

// "52 of 54 operations int8; fp32: blocks.2.1.attn.softmax (softmax), ...".
std::string int8_summary(const QuantizedGraph& quantized);

}  // namespace ridgewalk
