#include "supernet/inference/inference.h"

#include <chrono>
#include <new>
#include <stdexcept>

#include <ATen/Parallel.h>

#include "space/error.h"
#include "supernet/inference/module.h"

namespace ridgewalk {

struct Inference::Compiled {
  std::unique_ptr<CompiledNetwork> program;
  std::vector<Step> steps;
  std::vector<int64_t> images;
  std::vector<Shape> outputs;  // empty for logits
  int64_t logits = 0;
  int threads = at::get_num_threads();
};

Inference::Inference(const Network& folded, int batch, DataType precision)
    : compiled_(std::make_unique<Compiled>()) {
  at::NoGradGuard no_grad;
  const Shape& image = folded.graph.ops[0].output;
  compiled_->images = {batch, image.channels, image.height, image.width};
  compiled_->logits = folded.graph.ops.back().output.elements();
  for (const Output& output : folded.graph.outputs) {
    compiled_->outputs.push_back(folded.graph.ops[size_t(output.op)].output);
  }
  const auto refuse = [&](const char* why) {
    throw Error("oneDNN cannot run '" + folded.graph.name + "' with batch " +
                std::to_string(batch) + " in " + std::string(to_string(precision)) +
                " on this machine (" + why + "); try a smaller batch or fp32");
  };
  try {
    compiled_->program = one_dnn().compile(
        folded.graph, [&](const std::string& name) { return folded.parameters.full(name); }, batch,
        precision, compiled_->steps);
  } catch (const std::runtime_error& error) {
    refuse(error.what());
  } catch (const std::bad_alloc&) {
    refuse("not enough memory");
  }
}

Inference::~Inference() = default;
Inference::Inference(Inference&&) noexcept = default;
Inference& Inference::operator=(Inference&&) noexcept = default;

torch::Tensor Inference::forward(const torch::Tensor& images, const StepClock& clock) {
  using Clock = std::chrono::steady_clock;
  if (images.sizes() != compiled_->images || images.scalar_type() != torch::kFloat ||
      !images.is_contiguous()) {
    throw std::invalid_argument(
        "these images have another shape, type or layout than the network was compiled for");
  }
  if (at::get_num_threads() != compiled_->threads) {
    throw std::invalid_argument("the network was compiled for another number of threads");
  }
  CompiledNetwork& program = *compiled_->program;
  program.set_input(images.data_ptr());
  for (size_t i = 0; i < program.size(); ++i) {
    const Clock::time_point start = clock ? Clock::now() : Clock::time_point();
    program.run_step(i);
    if (clock) clock(i, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return outputs()[0];
}

std::vector<torch::Tensor> Inference::outputs() const {
  const CompiledNetwork& program = *compiled_->program;
  const int64_t batch = compiled_->images[0];
  const auto bytes = [&](size_t i) { return const_cast<void*>(program.output(i)); };
  if (compiled_->outputs.empty()) return {torch::from_blob(bytes(0), {batch, compiled_->logits})};
  std::vector<torch::Tensor> outputs;
  for (size_t i = 0; i < compiled_->outputs.size(); ++i) {
    const Shape& s = compiled_->outputs[i];
    const torch::Tensor nhwc = torch::from_blob(bytes(i), {batch, s.height, s.width, s.channels});
    outputs.push_back(nhwc.permute({0, 3, 1, 2}));
  }
  return outputs;
}

const std::vector<Inference::Step>& Inference::steps() const { return compiled_->steps; }
const std::vector<int64_t>& Inference::image_shape() const { return compiled_->images; }
size_t Inference::arena_bytes() const { return compiled_->program->arena_bytes(); }
size_t Inference::scratchpad_bytes() const { return compiled_->program->scratchpad_bytes(); }

}  // namespace ridgewalk
