// A training step by our own kernels beside the same step op by op under LibTorch's autograd.
#include "supernet/network/training_pass.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "supernet/kernels/cpu_level.h"
#include "supernet/network/executor.h"
#include "supernet/network/precision.h"
#include "supernet/network/shared_loop.h"
#include "supernet/training/lanes.h"
#include "tests/grouped_network.h"

namespace ridgewalk {
namespace {

struct Step {
  torch::Tensor logits, grads, statistics;
};

struct StepOptions {
  DataType precision = DataType::kFp32;
  NormMode mode = NormMode::kBatch;
  uint64_t drop_seed = 0;
  bool by_libtorch = false;
};

// One thread: on a busy machine LibTorch's would wait for each other.
void start() {
  torch::manual_seed(3);
  set_threads(1);
}

// Parameters away from their initial values, so that every gradient counts.
void shake(ParameterStore& store) {
  at::NoGradGuard no_grad;
  for (const Parameter& parameter : store.parameters()) {
    torch::Tensor values = store.full(parameter.name);
    if (parameter.role == ParameterRole::kNormWeight ||
        parameter.role == ParameterRole::kLayerScale) {
      values.uniform_(0.5, 1.5);
    } else if (!is_learned(parameter.role) || parameter.role == ParameterRole::kWeight) {
      continue;
    } else {
      values.uniform_(-0.5, 0.5);
    }
  }
}

torch::Tensor images_for(const Graph& graph, int64_t batch) {
  const Shape& shape = graph.ops[0].output;
  return torch::rand({batch, shape.channels, shape.height, shape.width})
      .contiguous(torch::MemoryFormat::ChannelsLast);
}

Step step_of(const Graph& graph, ParameterStore& store, const torch::Tensor& images,
             const StepOptions& options) {
  Executor network(graph, store);
  if (options.by_libtorch) network.observe([](const Op&, const torch::Tensor&) {});
  const auto statistics =
      store.values().narrow(0, store.learned(), store.values().numel() - store.learned());
  const auto before = statistics.clone();
  const auto wanted = torch::linspace(-1, 1, graph.ops.back().output.channels).sin();
  torch::Tensor logits;
  {
    const Autocast autocast(options.precision, torch::kCPU);
    logits = network.forward(images, options.mode, options.drop_seed);
  }
  (logits.to(torch::kFloat) - wanted).square().sum().backward();
  store.collect_gradients(network.learned());
  Step step{logits.detach().to(torch::kFloat), store.grads().clone(), statistics.clone()};
  at::NoGradGuard no_grad;
  store.grads().zero_();
  statistics.copy_(before);
  return step;
}

// The distance of two tensors, relative to the second.
double relative_distance(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

// The largest distance of the gradients of a parameter; those that are next to nothing beside the
// whole, as of a bias before a norm, are compared with a thousandth of the whole.
double worst_parameter(const Graph& graph, const torch::Tensor& a, const torch::Tensor& b) {
  ParameterStore ours(graph), theirs(graph);
  ours.values().narrow(0, 0, ours.learned()).copy_(a);
  theirs.values().narrow(0, 0, theirs.learned()).copy_(b);
  const double floor = 1e-3 * b.norm().item<double>();
  double worst = 0;
  for (const Parameter& parameter : ours.parameters()) {
    if (!is_learned(parameter.role)) continue;
    const auto apart = ours.full(parameter.name) - theirs.full(parameter.name);
    const double size = theirs.full(parameter.name).norm().item<double>();
    worst = std::max(worst, apart.norm().item<double>() / std::max(size, floor));
  }
  return worst;
}

struct Distances {
  double logits, grads, statistics, worst;
};

Distances distances(const Graph& graph, int64_t batch, StepOptions options) {
  ParameterStore store(graph);
  store.initialize(1);
  shake(store);
  const auto images = images_for(graph, batch);
  const Step own = step_of(graph, store, images, options);
  options.by_libtorch = true;
  const Step reference = step_of(graph, store, images, options);
  return {relative_distance(own.logits, reference.logits),
          relative_distance(own.grads, reference.grads),
          relative_distance(own.statistics, reference.statistics),
          worst_parameter(graph, own.grads, reference.grads)};
}

// A number that ReLU sees may be so close to 0 that rounding decides whether it counts, which
// changes a gradient by far more than rounding does. SiLU is smooth.
Graph smooth(Graph graph) {
  for (Op& op : graph.ops) {
    if (op.kind == OpKind::kActivation) op.activation = Activation::kSilu;
  }
  return graph;
}

void expect_same(const Graph& graph, int64_t batch, const StepOptions& options) {
  const Distances apart = distances(graph, batch, options);
  EXPECT_LT(apart.logits, 1e-5) << graph.name;
  EXPECT_LT(apart.grads, 1e-5) << graph.name;
  EXPECT_LT(apart.statistics, 1e-6) << graph.name;
  EXPECT_LT(apart.worst, 1e-4) << graph.name;
}

Graph sampled(const SearchSpace& space, std::mt19937_64& random) {
  return lower(decode(space, sample(space, random)));
}

class EverySpace : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(TrainingPass, EverySpace,
                         testing::Values("fashion-mnist", "fashion-mnist-kinds",
                                         "fashion-mnist-small", "fashion-mnist-wide"));

TEST_P(EverySpace, HasLibTorchsGradients) {
  start();
  const SearchSpace space = load_search_space(GetParam());
  std::mt19937_64 random(5);
  std::vector<double> grads;
  for (int i = 0; i < 5; ++i) {
    const Graph graph = sampled(space, random);
    expect_same(smooth(graph), 11 + i, {.mode = NormMode::kTraining});
    const Distances apart = distances(graph, 11 + i, {.mode = NormMode::kTraining});
    EXPECT_LT(apart.logits, 1e-5);
    EXPECT_LT(apart.statistics, 1e-6);
    grads.push_back(apart.grads);
  }
  std::sort(grads.begin(), grads.end());
  EXPECT_LT(grads[1], 1e-5);
  EXPECT_LT(grads[4], 0.03);
}

TEST(TrainingPass, HasLibTorchsGradientsOfPublishedNetworks) {
  start();
  for (const char* name :
       {"mnv4-conv-small", "mobilenet-v2", "mobilenet-v3-large", "mnv4-hybrid-medium"}) {
    Architecture architecture = find_architecture(name);
    architecture.resolution = 32;
    architecture.classes = 11;
    const Distances apart = distances(smooth(lower(architecture)), 24, {});
    EXPECT_LT(apart.logits, 1e-5) << name;
    EXPECT_LT(apart.grads, 2e-5) << name;  // of up to a hundred layers
    EXPECT_LT(apart.worst, 1e-4) << name;
  }
}

TEST(TrainingPass, HasLibTorchsGradientsOfConvolutionsInGroups) {
  start();
  expect_same(smooth(lower(grouped_network())), 6, {.mode = NormMode::kTraining});
}

// What is added up over rows is added in their order, whichever thread has computed them.
TEST(TrainingPass, HasTheSameBitsWhereOtherLanesTakePart) {
  start();
  std::mt19937_64 random(9);
  for (const char* name : {"fashion-mnist", "fashion-mnist-kinds"}) {
    const Graph graph = sampled(load_search_space(name), random);
    ParameterStore store(graph);
    store.initialize(1);
    const auto images = images_for(graph, 48);
    for (DataType precision : {DataType::kFp32, DataType::kBf16}) {
      const auto step = [&] { return step_of(graph, store, images, {.precision = precision}); };
      const Step alone = step();
      for (int lanes : {2, 4}) {
        const int64_t before = pieces_of_helpers();
        for (int turn = 0; turn < 100 && pieces_of_helpers() == before; ++turn) {
          Step helped;
          in_lanes(lanes, 1, [&](int64_t) { helped = step(); });
          EXPECT_TRUE(torch::equal(helped.logits, alone.logits)) << name;
          EXPECT_TRUE(torch::equal(helped.grads, alone.grads)) << name;
        }
        EXPECT_GT(pieces_of_helpers(), before);
      }
    }
  }
}

// What the kernels are compiled to for CPUs that have less than this one.
TEST(TrainingPass, IsTheSameOnOlderCpus) {
  start();
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(8);
  const Graph graph = sampled(space, random);
  ParameterStore store(graph);
  store.initialize(1);
  const auto images = images_for(graph, 16);
  const Step here = step_of(graph, store, images, {.precision = DataType::kBf16});
  for (CpuLevel level : {CpuLevel::kBase, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    limit_cpu_level(level);
    expect_same(smooth(graph), 13, {.mode = NormMode::kTraining});
    const Step there = step_of(graph, store, images, {.precision = DataType::kBf16});
    EXPECT_LT(relative_distance(there.logits, here.logits), 0.05);
    limit_cpu_level(CpuLevel::kAvx512Bf16);
  }
}

// Dropped branches and features are drawn alike.
TEST(TrainingPass, DropsWhatLibTorchDrops) {
  start();
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(6);
  for (int i = 0; i < 3; ++i) {
    Architecture architecture = decode(space, sample(space, random));
    architecture.regularization = {.drop_path = 0.3, .dropout = 0.2};
    const Graph graph = smooth(lower(architecture));
    expect_same(graph, 16, {.mode = NormMode::kTraining, .drop_seed = 7});
  }
}

// Beside the step in fp32, the one in bf16 is about as far off as LibTorch's.
TEST(TrainingPass, IsWithinTheRoundingOfBf16) {
  start();
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(5);
  double own_logits = 0, own_grads = 0, logits = 0, grads = 0;
  for (int i = 0; i < 4; ++i) {
    const Graph graph = sampled(space, random);
    ParameterStore store(graph);
    store.initialize(1);
    shake(store);
    const auto images = images_for(graph, 32);
    const Step exact = step_of(graph, store, images, {.by_libtorch = true});
    const Step own = step_of(graph, store, images, {.precision = DataType::kBf16});
    const Step theirs =
        step_of(graph, store, images, {.precision = DataType::kBf16, .by_libtorch = true});
    own_logits += relative_distance(own.logits, exact.logits);
    own_grads += relative_distance(own.grads, exact.grads);
    logits += relative_distance(theirs.logits, exact.logits);
    grads += relative_distance(theirs.grads, exact.grads);
  }
  EXPECT_LT(own_logits, 1.2 * logits);
  EXPECT_LT(own_grads, 1.2 * grads);
}

}  // namespace
}  // namespace ridgewalk
