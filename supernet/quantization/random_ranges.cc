#include "supernet/quantization/random_ranges.h"

#include "supernet/quantization/calibration.h"

namespace ridgewalk {

QuantizedNetwork quantized_for_timing(Network& folded, RewriteOptions options) {
  options.range_rule = "of random images";
  const Shape& image = folded.graph.ops[0].output;
  const torch::Tensor images = torch::randn({2, image.channels, image.height, image.width})
                                   .contiguous(torch::MemoryFormat::ChannelsLast);
  const CalibrationBatches batches{.count = 1, .batch = [&](int64_t) { return images; }};
  const std::vector<Calibration> calibrations = calibrate(
      folded, value_forms(folded.graph, options), batches, {{.method = RangeMethod::kMinMax}});
  return quantize(folded, calibrations[0].ranges, options);
}

}  // namespace ridgewalk
