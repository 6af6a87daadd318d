#include "supernet/inference/inference.h"

#include <chrono>
#include <new>
#include <stdexcept>

#include <ATen/Parallel.h>

#include "space/error.h"
#include "supernet/inference/module.h"

namespace ridgewalk {

struct Inference::Compiled {
  struct StoredValue {
    torch::ScalarType type;
    std::vector<int64_t> shape;  // as it lies in memory
  };
  static StoredValue stored_value(const QuantizedGraph& quantized, size_t index, int64_t batch);

  std::unique_ptr<CompiledNetwork> program;
  std::vector<Step> steps;
  std::vector<int64_t> images;
  std::vector<Shape> outputs;       // empty for logits
  std::vector<StoredValue> values;  // of the ops
  int64_t logits = 0;
  int threads = at::get_num_threads();
};

Inference::Compiled::StoredValue Inference::Compiled::stored_value(const QuantizedGraph& quantized,
                                                                   size_t index, int64_t batch) {
  const Op& op = quantized.graph.ops[index];
  const Shape& s = op.output;
  const auto& scale = quantized.values[index];
  StoredValue value{torch::kFloat, {batch, s.height, s.width, s.channels}};
  if (scale) value.type = scale->type == IntegerType::kU8 ? torch::kByte : torch::kChar;
  if (op.kind == OpKind::kAttentionScores || op.kind == OpKind::kSoftmax) {
    value.shape = {batch, int64_t{s.channels} * s.height, s.width};
  }
  return value;
}

namespace {

// The products of attention are computed with integers around 0.
void require_attention_around_zero(const QuantizedGraph& quantized) {
  const auto require = [&](int op) {
    const auto& scale = quantized.values[size_t(op)];
    if (!scale || scale->zero_point == 0) return;
    throw Error("'" + quantized.graph.name + "' has a zero point in attention ('" +
                quantized.graph.ops[size_t(op)].name +
                "'), where it is exported but not run as integers; quantize it again");
  };
  for (size_t i = 0; i < quantized.graph.ops.size(); ++i) {
    const Op& op = quantized.graph.ops[i];
    if (op.kind != OpKind::kAttentionScores && op.kind != OpKind::kAttentionMix) continue;
    require(int(i));
    for (int input : op.inputs) require(input);
  }
}

// What nobody has quantised must not run in fp32 under another name.
DataType of_reals(DataType precision) {
  if (precision == DataType::kFp32 || precision == DataType::kBf16) return precision;
  throw std::invalid_argument("a network runs in fp32 or bf16, in int8 once it is quantised");
}

QuantizedGraph without_integers(const Graph& graph) {
  QuantizedGraph result{.graph = graph, .values = {}, .weights = {}};
  result.values.resize(graph.ops.size());
  result.weights.resize(graph.ops.size());
  return result;
}

}  // namespace

Inference::Inference(const Network& folded, int batch, DataType precision)
    : Inference(without_integers(folded.graph), batch, of_reals(precision),
                [&](const std::string& name) { return folded.parameters.full(name); }) {}

Inference::Inference(const QuantizedNetwork& network, int batch)
    : Inference(network.quantized, batch, DataType::kInt8,
                [&](const std::string& name) { return network.tensors.at(name); }) {}

// `precision` is what the network is said to run in.
Inference::Inference(const QuantizedGraph& quantized, int batch, DataType precision,
                     const ParameterOf& parameter)
    : compiled_(std::make_unique<Compiled>()) {
  at::NoGradGuard no_grad;
  require_attention_around_zero(quantized);
  const Graph& graph = quantized.graph;
  const Shape& image = graph.ops[0].output;
  compiled_->images = {batch, image.channels, image.height, image.width};
  compiled_->logits = graph.ops.back().output.elements();
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    compiled_->values.push_back(Compiled::stored_value(quantized, i, batch));
  }
  for (const Output& output : graph.outputs) {
    compiled_->outputs.push_back(graph.ops[size_t(output.op)].output);
  }
  const auto refuse = [&](const char* why) {
    throw Error("oneDNN cannot run '" + graph.name + "' with batch " + std::to_string(batch) +
                " in " + std::string(to_string(precision)) + " on this machine (" + why +
                "); try a smaller batch or fp32");
  };
  const DataType reals = precision == DataType::kInt8 ? DataType::kFp32 : precision;
  try {
    compiled_->program = one_dnn().compile(quantized, parameter, batch, reals, compiled_->steps);
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

torch::Tensor Inference::value_of_step(size_t step) const {
  const std::vector<int>& ops = compiled_->steps.at(step).ops;
  const Compiled::StoredValue& value = compiled_->values[ops.empty() ? 0 : size_t(ops.back())];
  const void* bytes = compiled_->program->value_of_step(step);
  const torch::Tensor stored = torch::from_blob(const_cast<void*>(bytes), value.shape, value.type);
  return value.shape.size() == 3 ? stored : stored.permute({0, 3, 1, 2});
}

const std::vector<Inference::Step>& Inference::steps() const { return compiled_->steps; }
const std::vector<int64_t>& Inference::image_shape() const { return compiled_->images; }
size_t Inference::arena_bytes() const { return compiled_->program->arena_bytes(); }
size_t Inference::scratchpad_bytes() const { return compiled_->program->scratchpad_bytes(); }

}  // namespace ridgewalk
