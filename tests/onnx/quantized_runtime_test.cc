// Quantised networks exported and run by ONNX Runtime, compared with the quantised executor: every
// layer from the runtime's own input, and the likeliest classes of 2,000 images.
#include <cstdio>
#include <map>

#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/quantization/quantized_executor.h"
#include "supernet/quantization/quantized_onnx.h"
#include "supernet/training/train.h"
#include "tests/formula_weights.h"
#include "tests/onnx/exported.h"
#include "tests/supernet/formats/small_hybrid.h"
#include "tests/supernet/quantization/small_quantized.h"
#include "tests/test_name.h"
#include "tests/tiny_images.h"

namespace ridgewalk {
namespace {

// Patches of colour, so that images differ in more than noise.
torch::Tensor patches(int64_t count, const Shape& shape) {
  torch::manual_seed(1);
  const auto coarse = torch::randn({count, shape.channels, 4, 4});
  return torch::upsample_bilinear2d(coarse, {shape.height, shape.width}, false) +
         torch::randn({count, shape.channels, 1, 1});
}

QuantizedNetwork quantized(const std::string& name, int resolution, const RewriteOptions& options) {
  Architecture architecture = find_architecture(name);
  architecture.resolution = resolution;
  const Graph graph = lower(architecture);
  ParameterStore store(graph);
  fill(store);
  Network folded = fold_norms(graph, store);
  const torch::Tensor images = patches(32, graph.ops[0].output);
  return quantize(folded, ranges_of(folded, images), options);
}

// A value of the runtime as the integers it stands for.
torch::Tensor integers(const torch::Tensor& real, const ValueScale& scale) {
  return (real / scale.scale)
      .round()
      .add_(scale.zero_point)
      .to(scale.type == IntegerType::kU8 ? torch::kByte : torch::kChar);
}

// Computes one op of a quantised graph from the values that the runtime gave.
class FromRuntime {
 public:
  FromRuntime(const QuantizedExecutor& executor, std::map<int, torch::Tensor> given)
      : executor_(executor), given_(std::move(given)) {}

  torch::Tensor computed(int op) {
    const std::vector<Op>& ops = executor_.network().quantized.graph.ops;
    Inputs inputs = ops[size_t(op)].inputs;
    const bool is_relu = ops[size_t(op)].kind == OpKind::kActivation;
    // One step with the op before it.
    if (is_relu && !executor_.network().quantized.values[size_t(inputs[0])]) {
      inputs = ops[size_t(inputs[0])].inputs;
    }
    std::vector<torch::Tensor> values;
    for (int input : inputs) {
      const auto found = given_.find(input);
      values.push_back(found == given_.end() ? computed(input) : found->second);
    }
    return executor_.value(op, values);
  }

 private:
  const QuantizedExecutor& executor_;
  std::map<int, torch::Tensor> given_;
};

// Values of features: those of attention's softmax have another shape.
bool is_map(const QuantizedGraph& quantized, int op) {
  return op > 0 && quantized.values[size_t(op)] &&
         quantized.graph.ops[size_t(op)].kind != OpKind::kSoftmax;
}

struct Case {
  std::string name;
  RewriteOptions options = {};
};

class QuantizedRuntime : public Exported, public testing::WithParamInterface<Case> {};

TEST_P(QuantizedRuntime, GivesTheIntegersOfEveryLayer) {
  at::NoGradGuard no_grad;
  const QuantizedNetwork network = quantized(GetParam().name, 64, GetParam().options);
  const QuantizedGraph& graph = network.quantized;
  const QuantizedExecutor executor(network);
  const torch::Tensor images = patches(16, graph.graph.ops[0].output);
  OnnxOptions options;
  int64_t count = 0;
  for (int i = 0; i < int(graph.graph.ops.size()); ++i) {
    if (!is_map(graph, i)) continue;
    const Op& op = graph.graph.ops[size_t(i)];
    options.features.push_back({.name = op.name + ".map", .op = i});
    count += images.size(0) * op.output.elements();
  }
  write_quantized_onnx(model(), network, options);
  for (const char* level : {"disabled", "all"}) {
    const torch::Tensor values = run(images, torch::zeros(count), level);
    std::map<int, torch::Tensor> given = {{0, executor.value(0, {images})}};
    int64_t place = 0, all_equal = 0;
    for (const FeatureMap& map : options.features) {
      const Shape& shape = graph.graph.ops[size_t(map.op)].output;
      const int64_t size = images.size(0) * shape.elements();
      const auto real = values.narrow(0, place, size)
                            .view({images.size(0), shape.channels, shape.height, shape.width});
      given[map.op] = integers(real, *graph.values[size_t(map.op)]);
      place += size;
    }
    FromRuntime from_runtime(executor, given);
    for (const FeatureMap& map : options.features) {
      const torch::Tensor own = from_runtime.computed(map.op).to(torch::kInt);
      const auto off = (own - given[map.op].to(torch::kInt)).abs();
      const int64_t equal = off.eq(0).sum().item<int64_t>();
      all_equal += equal;
      EXPECT_LE(off.max().item<int>(), 1) << map.name << ", " << level;
      EXPECT_GE(double(equal), 0.999 * double(off.numel()))
          << map.name << ", " << level << ": " << equal << " of " << off.numel();
    }
    std::printf("%s, %s: %lld of %lld integers in %zu layers are equal\n", GetParam().name.c_str(),
                level, static_cast<long long>(all_equal), static_cast<long long>(count),
                options.features.size());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, QuantizedRuntime,
    testing::Values(Case{"mnv4-conv-small"}, Case{"mnv4-conv-small", {.per_channel = false}},
                    Case{"mnv4-conv-small", {.zero_points = ZeroPoints::kAll}},
                    Case{"mobilenet-v2-050"}, Case{"mobilenet-v3-large"},
                    Case{"mnv4-hybrid-medium-075"},
                    Case{"experiments/configs/networks/mnv4-hybrid-medium-mha.yaml"}),
    [](const auto& test) {
      const RewriteOptions& options = test.param.options;
      return test_name(test.param.name + (options.per_channel ? "" : "-per-tensor") +
                       (options.zero_points == ZeroPoints::kAll ? "-zero-points" : ""));
    });

// Of random weights the logits are noise, and so would be which of them is the largest.
TEST_F(Exported, AgreesOnTheLikeliestClasses) {
  const std::string images = write_tiny_images(1000, 2000);
  const Dataset data = load_dataset("idx:" + images, 0, 1);
  std::filesystem::remove_all(images);
  Architecture hybrid = small_hybrid();
  hybrid.resolution = 28;
  hybrid.classes = 10;
  Architecture nano = find_architecture("compact-nano");
  nano.resolution = 28;
  nano.channels = 1;
  nano.classes = 10;
  for (const Architecture& architecture : {nano, hybrid}) {
    Trainer trainer(architecture, data, {.epochs = 8, .batch_size = 50, .seed = 1}, {});
    while (trainer.step() < trainer.steps()) trainer.advance();
    at::NoGradGuard no_grad;
    const Graph graph = lower(architecture);
    Network folded = fold_norms(graph, trainer.result());
    const Batch calibration = make_evaluation_batch(data, data.train, {0, 1, 2, 3, 4, 5, 6, 7});
    const QuantizedExecutor executor(quantize(folded, ranges_of(folded, calibration.images), {}));
    std::vector<torch::Tensor> batches, logits;
    const auto logits_of = [&](const torch::Tensor& batch) {
      batches.push_back(batch.contiguous());
      return logits.emplace_back(executor.forward(batch));
    };
    const Accuracy own = evaluate(logits_of, graph, data, data.test, {}, {.batch_size = 100});
    EXPECT_GT(own.top1, 0.5);
    write_quantized_onnx(model(), executor.network());
    for (const char* level : {"disabled", "all"}) {
      const torch::Tensor given = run(torch::cat(batches), torch::cat(logits), level);
      const auto agrees = given.argmax(1).eq(torch::cat(logits).argmax(1));
      const double share = agrees.to(torch::kDouble).mean().item<double>();
      std::printf("%s, top-1 %.1f %%, %s: %.2f %% of %lld images have the same class\n",
                  architecture.name.c_str(), 100 * own.top1, level, 100 * share,
                  static_cast<long long>(agrees.numel()));
      EXPECT_GE(share, 0.995) << architecture.name << ", " << level;
    }
  }
}

}  // namespace
}  // namespace ridgewalk
