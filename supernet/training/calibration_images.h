// Training images to calibrate a quantisation on.
#pragma once

#include <cstdint>

#include "space/graph.h"
#include "supernet/data/dataset.h"
#include "supernet/quantization/calibration.h"

namespace ridgewalk {

// `images` of the training images, drawn with `seed`, as they are for evaluation and as the graph's
// input, `batch_size` at a time; all where there are no more. `data` must outlive them. Throws
// Error where there are none.
CalibrationBatches calibration_batches(const Dataset& data, const Graph& graph, int64_t images,
                                       int64_t batch_size, uint64_t seed);

}  // namespace ridgewalk
