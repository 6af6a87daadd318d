#include "experiments/commands/compiled_accuracy.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace ridgewalk {
namespace {

// Networks compiled for a batch of images: as many as there are lanes that run one at a time.
class CompiledNetworks {
 public:
  CompiledNetworks(const CompileBatch& compile, int batch) : compile_(compile), batch_(batch) {}

  // images [N, C, H, W], N at most the batch.
  torch::Tensor logits(const torch::Tensor& images) {
    std::unique_ptr<Inference> inference = take();
    std::vector<int64_t> shape = images.sizes().vec();
    const int64_t count = shape[0];
    torch::Tensor batch = images.to(torch::kFloat).contiguous();
    if (count < batch_) {
      shape[0] = batch_ - count;
      batch = torch::cat({batch, torch::zeros(shape)});
    }
    const torch::Tensor result = inference->forward(batch).narrow(0, 0, count).clone();
    const std::scoped_lock lock(mutex_);
    idle_.push_back(std::move(inference));
    return result;
  }

 private:
  std::unique_ptr<Inference> take() {
    {
      const std::scoped_lock lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Inference> last = std::move(idle_.back());
        idle_.pop_back();
        return last;
      }
    }
    return compile_(batch_);
  }

  const CompileBatch& compile_;
  const int batch_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Inference>> idle_;
};

}  // namespace

Accuracy compiled_accuracy(const CompileBatch& compile, const Graph& graph, const Dataset& data,
                           const Compute& compute, int batch_size) {
  CompiledNetworks compiled(compile, int(std::min<int64_t>(batch_size, data.test.size())));
  return evaluate([&](const torch::Tensor& images) { return compiled.logits(images); }, graph, data,
                  data.test, compute, {.batch_size = batch_size, .of_all_classes = true});
}

}  // namespace ridgewalk
