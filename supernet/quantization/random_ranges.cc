#include "supernet/quantization/random_ranges.h"

#include "supernet/network/executor.h"
#include "supernet/quantization/rewrite.h"

namespace ridgewalk {

QuantizedNetwork quantized_for_timing(Network& folded) {
  at::NoGradGuard no_grad;
  const Shape& image = folded.graph.ops[0].output;
  const torch::Tensor images = torch::randn({2, image.channels, image.height, image.width})
                                   .contiguous(torch::MemoryFormat::ChannelsLast);
  const auto range_of = [](const torch::Tensor& value) {
    return ValueRange{value.min().item<double>(), value.max().item<double>()};
  };
  std::vector<ValueRange> ranges{range_of(images)};
  Executor executor(folded.graph, folded.parameters);
  executor.observe(
      [&](const Op&, const torch::Tensor& value) { ranges.push_back(range_of(value)); });
  executor.forward(images, NormMode::kRunning);
  return quantize(folded, ranges, {.range_rule = "of random images"});
}

}  // namespace ridgewalk
