// A step of a supernet, computed a second time with LibTorch's ops alone.
#include <map>
#include <numeric>

#include "supernet/supernet.h"
#include "tests/supernet/on_device.h"

namespace ridgewalk {
namespace {

// The ops of a network without attention, each by LibTorch, in training.
torch::Tensor by_plain_ops(const Graph& graph, std::map<std::string, torch::Tensor>& weights,
                           const torch::Tensor& images) {
  std::vector<torch::Tensor> values{images};
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const torch::Tensor& x = values[size_t(op.inputs[0])];
    const auto own = [&](const char* suffix) { return weights.at(op.name + suffix); };
    switch (op.kind) {
      case OpKind::kConv:
      case OpKind::kDepthwise:
        values.push_back(torch::conv2d(x, own(".weight"), {}, op.stride, (op.kernel - 1) / 2, 1,
                                       op.kind == OpKind::kConv ? 1 : op.output.channels));
        break;
      case OpKind::kNorm:
        values.push_back(torch::batch_norm(x, own(".weight"), own(".bias"), {}, {}, true, 0,
                                           graph.norm.epsilon, false));
        break;
      case OpKind::kActivation:
        values.push_back(torch::relu(x));
        break;
      case OpKind::kAdd:
        values.push_back(x + values[size_t(op.inputs[1])]);
        break;
      case OpKind::kLayerScale:
        values.push_back(x * own(".gamma").view({1, -1, 1, 1}));
        break;
      case OpKind::kPool:
        values.push_back(x.mean({2, 3}, true));
        break;
      case OpKind::kLinear:
        values.push_back(torch::linear(x.flatten(1), own(".weight"), own(".bias")));
        break;
      default:
        throw std::logic_error("no plain op for " + op.name);
    }
  }
  return values.back();
}

torch::Tensor prefix(torch::Tensor tensor, const std::vector<int64_t>& shape) {
  for (size_t d = 0; d < shape.size(); ++d) tensor = tensor.narrow(int64_t(d), 0, shape[d]);
  return tensor;
}

// One batch holds all images, so that the loss does not depend on their order.
TEST_F(OnDevice, AStepOfASampledNetworkIsThatOfPlainAutograd) {
  Dataset few = data_;
  few.train = {data_.train.images.narrow(0, 0, 32), data_.train.labels.narrow(0, 0, 32)};
  const SupernetOptions options{.steps = 10,
                                .batch_size = 32,
                                .optimizer = {.learning_rate = 0.5, .warmup = 0, .momentum = 0},
                                .label_smoothing = 0.1};
  Supernet supernet(space_, few, options, compute_);
  ParameterStore& store = supernet.parameters();
  const Decisions decisions = sample_of(space_, false);
  const Graph graph = lower(decode_blended(space_, decisions));
  std::map<std::string, torch::Tensor> weights;
  for (size_t op = 0; op < graph.ops.size(); ++op) {
    for (const Parameter& parameter : parameters(graph, int(op))) {
      if (!is_learned(parameter.role)) continue;
      weights[parameter.name] =
          prefix(store.full(parameter.name), parameter.shape).detach().clone().requires_grad_();
    }
  }
  const Batch batch = make_evaluation_batch(few, few.train, [] {
    std::vector<int64_t> all(32);
    std::iota(all.begin(), all.end(), 0);
    return all;
  }());
  const torch::Tensor logits =
      by_plain_ops(graph, weights, network_input(batch.images, graph, compute_.device));
  const torch::Tensor loss = torch::cross_entropy_loss(logits, batch.labels.to(compute_.device), {},
                                                       at::Reduction::Mean, -100, 0.1);
  loss.backward();

  ParameterStore expected(space_, compute_.device);
  expected.copy_common(store);
  EXPECT_NEAR(supernet.train(0, std::vector<Decisions>{decisions}), loss.item<double>(), 1e-3);
  at::NoGradGuard no_grad;
  // A ReLU whose input is 0 but for rounding may fall on either side, which moves the gradients
  // before it by a percent; those of the classifier have no ReLU behind them.
  for (const auto& [name, weight] : weights) {
    const torch::Tensor change = weight.grad() * -0.5;
    const auto seen = prefix(store.full(name), weight.sizes().vec());
    const auto before = prefix(expected.full(name), weight.sizes().vec());
    const double size = change.norm().item<double>();
    const double error = (seen - before - change).norm().item<double>();
    EXPECT_LT(error, (name.starts_with("classifier") ? 1e-4 : 0.04) * size + 1e-5) << name;
    if (name == "classifier.weight") {
      EXPECT_GT(size, 0.1);
    }
  }
}

}  // namespace
}  // namespace ridgewalk
