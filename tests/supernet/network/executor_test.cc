#include "supernet/network/executor.h"

#include <cstdio>
#include <random>

#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "tests/formula_weights.h"
#include "tests/grouped_network.h"

namespace ridgewalk {
namespace {

SearchSpace one_block_space() {
  return search_space_from_yaml(R"(
name: one
resolution: 8
channels: 1
classes: 3
stem: {kernel: 3, stride: 1, width: 8}
stages:
  - {block: uib, stride: 1, width: 8, depth: 1, expansion: 2, kernel1: [0, 3, 5], kernel2: 3}
head: {width: 8, features: 8}
)",
                                "one");
}

// Op warm-up runs every option of a choice and averages them; the mean enters the expansion.
TEST(Executor, ABlendIsTheAverageOfItsOptions) {
  at::NoGradGuard no_grad;
  const SearchSpace space = one_block_space();
  ParameterStore store(space);
  store.initialize(1);
  const auto images = torch::rand({2, 1, 8, 8});
  Decisions decisions(choice_layout(space).count, 0);
  decisions[choice_layout(space).stages[0].blocks[0].kernel1] = kBlend;
  const Graph blended = lower(decode_blended(space, decisions));

  // The same by hand: cut each option's graph after its depthwise part.
  const auto part = [&](int option) {
    Decisions own = decisions;
    own[choice_layout(space).stages[0].blocks[0].kernel1] = option;
    Graph graph = lower(decode(space, own), Naming::kShared);
    size_t end = 0;
    while (graph.ops[end].name != "blocks.0.0.pw_exp.conv") ++end;
    graph.ops.resize(end);
    return Executor(graph, store).forward(images, NormMode::kBatch);
  };
  Graph cut = blended;
  size_t end = 0;
  while (cut.ops[end].name != "blocks.0.0.pw_exp.conv") ++end;
  EXPECT_EQ(cut.ops[end - 1].kind, OpKind::kMean);
  cut.ops.resize(end);
  const auto mean = Executor(cut, store).forward(images, NormMode::kBatch);
  EXPECT_TRUE(torch::allclose(mean, (part(0) + part(1) + part(2)) / 3, 1e-5, 1e-6));
}

TEST(Executor, EveryOptionOfABlendGetsAGradient) {
  const SearchSpace space = load_search_space("fashion-mnist");
  ParameterStore store(space);
  store.initialize(1);
  Decisions decisions;
  for (const Choice& choice : choices(space)) {
    const bool blend = choice.kind == ChoiceKind::kOperation && choice.options.size() > 1;
    decisions.push_back(blend ? kBlend : choice.widest);
  }
  deactivate_unused(space, choice_layout(space), decisions);
  const Executor network(lower(decode_blended(space, decisions)), store);
  network.forward(torch::rand({4, 1, 28, 28}), NormMode::kBatch).square().sum().backward();
  store.collect_gradients(network.learned());
  at::NoGradGuard no_grad;
  ParameterStore gradients(space);
  gradients.values().narrow(0, 0, gradients.learned()).copy_(store.grads());
  for (const Parameter& parameter : gradients.parameters()) {
    if (parameter.role != ParameterRole::kWeight) continue;
    EXPECT_GT(gradients.full(parameter.name).abs().sum().item<double>(), 0) << parameter.name;
  }
}

TEST(Executor, TrainingUpdatesRunningStatisticsAndSearchDoesNot) {
  const SearchSpace space = one_block_space();
  const Graph graph = lower(decode(space, Decisions(choice_layout(space).count, 0)));
  ParameterStore store(graph);
  store.initialize(1);
  const Executor network(graph, store);
  const auto images = torch::rand({8, 1, 8, 8});
  const auto before =
      store.values().narrow(0, store.learned(), store.values().numel() - store.learned()).clone();
  network.forward(images, NormMode::kBatch);
  const auto buffers =
      store.values().narrow(0, store.learned(), store.values().numel() - store.learned());
  EXPECT_TRUE(torch::equal(before, buffers));
  network.forward(images, NormMode::kTraining);
  EXPECT_FALSE(torch::equal(before, buffers));
}

// A training step joins ops in kernels of its own; an observer still sees every op's own output.
TEST(Executor, JoinedOpsAreTheOpsOneByOne) {
  torch::manual_seed(3);
  const SearchSpace space = load_search_space("fashion-mnist");
  const auto choices_of_it = choices(space);
  std::mt19937_64 random(3);
  Decisions decisions;
  for (const Choice& choice : choices_of_it) {
    decisions.push_back(int(random() % choice.options.size()));
  }
  deactivate_unused(space, choice_layout(space), decisions);
  const Graph graph = lower(decode(space, decisions));
  // Statistics of a few images alone would magnify rounding.
  const auto images = torch::rand({64, 1, 28, 28}).contiguous(torch::MemoryFormat::ChannelsLast);
  const auto run = [&](bool watched) {
    ParameterStore store(graph);
    store.initialize(1);
    Executor network(graph, store);
    size_t negative = 0;
    if (watched) {
      network.observe([&](const Op& op, const torch::Tensor& output) {
        if (op.kind == OpKind::kNorm) negative += output.lt(0).any().item<bool>();
      });
    }
    const auto logits = network.forward(images, NormMode::kBatch);
    logits.square().sum().backward();
    store.collect_gradients(network.learned());
    EXPECT_EQ(negative > 5, watched);
    return std::pair(logits.detach(), store.grads().clone());
  };
  const auto [logits, gradients] = run(false);
  const auto [own_logits, own_gradients] = run(true);
  EXPECT_LT((logits - own_logits).abs().max().item<double>(),
            1e-5 * own_logits.abs().max().item<double>());
  // Of numbers next to 0, rounding decides whether ReLU lets them through.
  EXPECT_LT((gradients - own_gradients).norm().item<double>(),
            0.02 * own_gradients.norm().item<double>());
}

// Compared with the definition, softmax(Q K^T / sqrt(d)) V, one head at a time.
TEST(Executor, AttentionIsMultiQuery) {
  at::NoGradGuard no_grad;
  Architecture architecture;
  architecture.resolution = 4;
  architecture.channels = 1;
  architecture.classes = 2;
  architecture.stem = {.kernel = 3, .stride = 1, .width = 8};
  architecture.stages = {{MobileMqa{.heads = 2, .key_dim = 3, .value_dim = 5, .kv_stride = 1}}};
  architecture.head = {8, 8};
  Graph graph = lower(architecture);
  ParameterStore store(graph);
  store.initialize(4);
  const auto find = [&](const std::string& name) {
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      if (graph.ops[i].name == name) return i;
    }
    throw std::out_of_range(name);
  };
  const auto until = [&](const std::string& name) {
    Graph part = graph;
    part.ops.resize(find(name) + 1);
    return Executor(part, store).forward(torch::ones({1, 1, 4, 4}).cumsum(2), NormMode::kRunning);
  };
  const auto q = until("blocks.0.0.attn.query.proj").reshape({2, 3, 16});
  const auto k = until("blocks.0.0.attn.key.proj").reshape({3, 16});
  const auto v = until("blocks.0.0.attn.value.proj").reshape({5, 16});
  const auto mixed = until("blocks.0.0.attn.mix").reshape({2, 5, 16});
  for (int head = 0; head < 2; ++head) {
    const auto weights = torch::softmax(torch::mm(q[head].t(), k) / std::sqrt(3.0), 1);
    EXPECT_TRUE(torch::allclose(mixed[head], torch::mm(weights, v.t()).t(), 1e-4, 1e-5)) << head;
  }
}

// A residual branch is dropped for a whole image, and the branches kept are scaled to make up for
// it.
TEST(Executor, DropsBranchesOfImagesInTrainingAlone) {
  at::NoGradGuard no_grad;
  const Shape shape{.channels = 3, .height = 2, .width = 2};
  Graph graph{.name = "skip", .ops = {}};
  graph.ops.push_back({.kind = OpKind::kInput, .name = "input", .output = shape});
  graph.ops.push_back({.kind = OpKind::kActivation,
                       .name = "act",
                       .inputs = {0},
                       .output = shape,
                       .activation = Activation::kRelu});
  graph.ops.push_back(
      {.kind = OpKind::kAdd, .name = "add", .inputs = {1, 0}, .output = shape, .drop = 0.25});
  ParameterStore store(graph);
  const Executor network(graph, store);
  const auto images = torch::ones({4000, 3, 2, 2});
  for (NormMode mode : {NormMode::kBatch, NormMode::kRunning}) {
    EXPECT_TRUE(torch::equal(network.forward(images, mode, 5), 2 * images));
  }
  EXPECT_TRUE(torch::equal(network.forward(images, NormMode::kTraining), 2 * images));
  const auto branch = network.forward(images, NormMode::kTraining, 5) - images;
  const auto kept = branch.gt(0);
  EXPECT_TRUE(torch::equal(kept.sum({1, 2, 3}).remainder(12), torch::zeros(4000, torch::kLong)));
  EXPECT_TRUE(torch::allclose(branch.masked_select(kept), torch::tensor(1 / 0.75f)));
  EXPECT_NEAR(branch.mean().item<double>(), 1, 0.03);
  EXPECT_TRUE(torch::equal(network.forward(images, NormMode::kTraining, 5) - images, branch));
  EXPECT_FALSE(torch::equal(network.forward(images, NormMode::kTraining, 6) - images, branch));
}

// Convolutions in groups are dense ones whose weights are 0 between the groups.
TEST(Executor, RunsConvolutionsInGroups) {
  at::NoGradGuard no_grad;
  const Graph graph = lower(grouped_network());
  const Graph dense = lower(without_groups(grouped_network()));
  ParameterStore store(graph), whole(dense);
  fill(store);
  for (const Parameter& parameter : whole.parameters()) {
    const torch::Tensor to = whole.full(parameter.name), from = store.full(parameter.name);
    if (to.sizes() == from.sizes()) {
      to.copy_(from);
      continue;
    }
    const int64_t groups = to.size(1) / from.size(1), outputs = to.size(0) / groups;
    to.zero_();
    for (int64_t g = 0; g < groups; ++g) {
      to.narrow(0, g * outputs, outputs)
          .narrow(1, g * from.size(1), from.size(1))
          .copy_(from.narrow(0, g * outputs, outputs));
    }
  }
  const torch::Tensor images = torch::randn({16, 3, 32, 32});
  for (NormMode mode : {NormMode::kRunning, NormMode::kBatch}) {
    const torch::Tensor expected = Executor(dense, whole).forward(images, mode);
    const torch::Tensor logits = Executor(graph, store).forward(images, mode);
    EXPECT_LT((logits - expected).abs().max().item<double>(),
              1e-5 * expected.abs().max().item<double>());
  }
}

}  // namespace
}  // namespace ridgewalk
