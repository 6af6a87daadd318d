// Stands in for inference where the LibTorch in use rules out linking Debian's oneDNN.
#include "space/error.h"
#include "supernet/inference/inference.h"
#include "supernet/inference/peaks.h"

namespace ridgewalk {

struct Inference::Compiled {
  std::vector<int64_t> images;
  std::vector<Step> steps;
};

Inference::Inference(const Network&, int, DataType) {
  throw Error(
      "this build cannot measure networks; build it with Debian's libtorch-dev and libdnnl-dev");
}
Inference::~Inference() = default;
Inference::Inference(Inference&&) noexcept = default;
Inference& Inference::operator=(Inference&&) noexcept = default;
torch::Tensor Inference::forward(const torch::Tensor&, const StepClock&) { return {}; }
const std::vector<Inference::Step>& Inference::steps() const { return compiled_->steps; }
const std::vector<int64_t>& Inference::image_shape() const { return compiled_->images; }
size_t Inference::arena_bytes() const { return 0; }

std::optional<MeasuredRate> measure_peak_gmacs(DataType, int) { return std::nullopt; }
MeasuredRate measure_bandwidth_gbps(Bytes, int) { return {}; }
std::string cpu_name() { return "CPU"; }

}  // namespace ridgewalk
