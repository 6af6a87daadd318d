#include "supernet/training/calibration_images.h"

#include <algorithm>
#include <vector>

#include "space/error.h"
#include "supernet/data/batch.h"
#include "supernet/training/evaluate.h"

namespace ridgewalk {

CalibrationBatches calibration_batches(const Dataset& data, const Graph& graph, int64_t images,
                                       int64_t batch_size, uint64_t seed) {
  const int64_t count = std::min(images, data.train.size());
  if (count == 0) throw Error(data.name, 0, "has no training images to calibrate on");
  const std::vector<int64_t> drawn = BatchOrder(data.train.size(), count, seed).indices(0);
  Graph input{.name = graph.name, .ops = {graph.ops[0]}};
  return {.count = (count + batch_size - 1) / batch_size,
          .batch = [&data, input = std::move(input), drawn, batch_size](int64_t number) {
            const auto first = drawn.begin() + number * batch_size;
            const auto last =
                drawn.begin() + std::min<int64_t>((number + 1) * batch_size, std::ssize(drawn));
            const Batch batch = make_evaluation_batch(data, data.train, {first, last});
            return batch.images.size(0) == 0 ? batch.images
                                             : network_input(batch.images, input, torch::kCPU);
          }};
}

}  // namespace ridgewalk
