#include "roofline/op_law.h"

#include <cmath>
#include <random>

#include "roofline/latency_model.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/fold.h"
#include "space/lowering.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ReadBandwidths kBandwidths = {{{1e3}, {100e9}}, {{1e6}, {50e9}}, {{1e8}, {10e9}}};

TEST(ReadTime, IsThatOfTheWorkingSetsCache) {
  EXPECT_NEAR(read_time({1e6}, {1e3}, kBandwidths).value, 1e6 / 100e9, 1e-15);
  EXPECT_NEAR(read_time({1e6}, {1e6}, kBandwidths).value, 1e6 / 50e9, 1e-15);
  // Halfway on a logarithmic scale: the geometric mean of 50 and 10.
  EXPECT_NEAR(read_time({1e6}, {1e7}, kBandwidths).value, 1e6 / std::sqrt(500e18), 1e-15);
  EXPECT_NEAR(read_time({1e6}, {1}, kBandwidths).value, 1e6 / 100e9, 1e-15);
  EXPECT_NEAR(read_time({1e6}, {1e12}, kBandwidths).value, 1e6 / 10e9, 1e-15);
  EXPECT_EQ(read_time({0}, {0}, kBandwidths).value, 0);
}

TEST(ReadTime, NeedsABandwidth) { EXPECT_THROW(read_time({1}, {1}, {}), std::invalid_argument); }

TEST(LawKind, TellsApartWhatRunsOtherCode) {
  const Graph graph = fold_norms(lower(find_architecture("mobilenet-v3-large"))).graph;
  std::vector<std::string> kinds;
  for (const Op& op : graph.ops) {
    const std::string kind = law_kind(graph, op);
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  }
  EXPECT_THAT(kinds, ElementsAre("image", "stem 3x3 stride 2", "activation hard_swish",
                                 "depthwise 3x3", "activation relu", "conv 1x1", "add",
                                 "depthwise 3x3 stride 2", "depthwise 5x5 stride 2", "pool",
                                 "linear", "hard_sigmoid", "multiply", "depthwise 5x5"));
}

// By hand: a 3x3 stem of stride 2 on a 4x4 image of 3 channels, then a linear layer; fp32.
TEST(OpTimes, AddOverheadMacsAndExposedReads) {
  Graph graph;
  graph.ops = {{.kind = OpKind::kInput, .name = "x", .output = {3, 4, 4}},
               {.kind = OpKind::kConv,
                .name = "stem",
                .inputs = {0},
                .output = {8, 2, 2},
                .kernel = 3,
                .stride = 2},
               {.kind = OpKind::kLinear, .name = "head", .inputs = {1}, .output = {10, 1, 1}}};
  const ReadBandwidths flat = {{{1}, {1e9}}};
  const std::vector<OpLaw> laws = {{.kind = "stem 3x3 stride 2",
                                    .overhead_us = 2,
                                    .gmacs = 0.5,
                                    .weights = 1,
                                    .input = 0.5,
                                    .output = 0.25}};
  const auto times = op_times(graph, DataType::kFp32, laws, flat);
  // 864 MACs, 216 weights, 48 inputs, 32 outputs.
  ASSERT_TRUE(times[1]);
  EXPECT_NEAR(times[1]->value, 2e-6 + 864 / 0.5e9 + 4e-9 * (216 + 0.5 * 48 + 0.25 * 32), 1e-15);
  EXPECT_FALSE(times[0]);
  EXPECT_FALSE(times[2]);
}

// Steps that take exactly what some laws say are fitted so that other networks are predicted
// exactly, although one or two terms may stand for each other.
TEST(FitOpLaws, PredictsOtherNetworksOfAMachineThatObeysLaws) {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(1);
  std::vector<Graph> graphs;
  for (int i = 0; i < 30; ++i) {
    graphs.push_back(fold_norms(lower(decode(space, sample(space, random)))).graph);
  }
  std::map<std::string, OpLaw> given;
  for (const Graph& graph : graphs) {
    for (const Op& op : graph.ops) {
      const std::string kind = law_kind(graph, op);
      const double size = 1 + double(kind.size() % 5);
      given[kind] = {.kind = kind,
                     .overhead_us = size,
                     .gmacs = 20 * size,
                     .weights = 0.1 * size,
                     .input = 0.2 * size,
                     .output = 0.3};
    }
  }
  std::vector<OpLaw> laws;
  for (const auto& [kind, law] : given) laws.push_back(law);
  const auto total = [](const std::vector<std::optional<Seconds>>& times) {
    double sum = 0;
    for (const auto& time : times) sum += time.value().value;
    return sum;
  };
  std::vector<TimedStep> steps;
  for (size_t g = 0; g < 20; ++g) {
    const auto times = op_times(graphs[g], DataType::kFp32, laws, kBandwidths);
    // As they run: activations and adds inside the op before them.
    for (size_t i = 0; i < times.size(); ++i) {
      const OpKind kind = graphs[g].ops[i].kind;
      if (kind == OpKind::kActivation || kind == OpKind::kAdd) {
        steps.back().ops.push_back(int(i));
        steps.back().seconds += *times[i];
      } else {
        steps.push_back({&graphs[g], {int(i)}, *times[i]});
      }
    }
  }
  const std::vector<OpLaw> fitted = fit_op_laws(steps, DataType::kFp32, kBandwidths);
  ASSERT_EQ(fitted.size(), laws.size());
  for (size_t g = 20; g < graphs.size(); ++g) {
    const double truth = total(op_times(graphs[g], DataType::kFp32, laws, kBandwidths));
    const double found = total(op_times(graphs[g], DataType::kFp32, fitted, kBandwidths));
    EXPECT_NEAR(found / truth, 1, 2e-3);
  }
  for (const OpLaw& law : fitted) {
    EXPECT_GT(law.ops, 0);
    EXPECT_TRUE(law.spread.error || law.kind.starts_with("activation") || law.kind == "add");
    EXPECT_LT(law.spread.error.value_or(0), 0.01) << law.kind;
  }
}

Profile calibrated() {
  Profile profile = profile_from_yaml(R"(
name: here
data_type: fp32
peak_gmacs: {fp32: {value: 100, source: measured}}
bandwidth_gbps: {value: 10, source: measured}
machine: a CPU
threads: 2
probe_ms: {value: 11.5, source: measured}
working_sets:
  - {kib: 16, gbps: {value: 200, source: measured}}
  - {kib: 65536, gbps: {value: 10, source: measured}}
ops:
  source: measured
  laws:
    - {kind: conv 1x1, overhead_us: 1, gmacs: 80, weights: 0.5, ops: 7, spread: {error: 0.03, gmacs: 0.01}}
    - {kind: linear, weights: 1, ops: 2}
)",
                                      "here.yaml");
  return profile;
}

TEST(CalibratedProfile, GoesToYamlAndBack) {
  const Profile profile = calibrated();
  EXPECT_EQ(profile.threads, 2);
  EXPECT_EQ(profile.probe_ms->value, 11.5);
  EXPECT_EQ(profile.op_laws.size(), 2u);
  EXPECT_EQ(profile_from_yaml(to_yaml(profile), "again"), profile);
}

// An op without a law counts with its lower bound, MACs at peak or bytes from the fastest cache,
// and is named.
TEST(CalibratedProfile, NamesTheOpsThatItHasNoLawFor) {
  const Profile profile = calibrated();
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const CalibratedLatency latency = predict_by_laws(graph, profile);
  EXPECT_THAT(latency.unknown, testing::Contains("depthwise 3x3"));
  EXPECT_THAT(latency.unknown, testing::Not(testing::Contains("conv 1x1")));
  Profile without = profile;
  without.op_laws = {{.kind = "no such op"}};
  const LatencyModel bare{
      .ridge_point = {100. / 200}, .peak = {100e9}, .data_type = DataType::kFp32};
  EXPECT_NEAR(predict_by_laws(graph, without).total.value,
              predict(fold_norms(graph).graph, bare).roofline.value, 1e-9);
  // What is known of them makes it longer, never shorter.
  EXPECT_GT(latency.total, predict_by_laws(graph, without).total);
  EXPECT_THAT(error_of([&] { predict_by_laws(graph, load_profile("pixel6-cpu")); }),
              HasSubstr("no op laws; `ridgewalk calibrate` makes a profile"));
}

TEST(CalibratedProfile, RefusesWhatCannotBe) {
  const std::string head = "name: x\ndata_type: fp32\nridge_point: {value: 1, source: me}\n";
  const std::string sets = "working_sets: [{kib: 16, gbps: {value: 2, source: me}}]\n";
  const auto refusal = [&](const std::string& text) {
    return error_of([&] { profile_from_yaml(head + text, "x.yaml"); });
  };
  EXPECT_THAT(refusal("ops: {source: me, laws: [{kind: add}]}"), HasSubstr("need working_sets"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add}, {kind: add}]}"),
              HasSubstr("x.yaml:5: kind 'add' has two laws"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add, weights: -1}]}"),
              HasSubstr("'weights' is -1; it must be from 0 to 1e+09"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add, gmacs: 0}]}"),
              HasSubstr("'gmacs' is 0; it must be from"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add, overhead_us: .nan}]}"),
              HasSubstr("'overhead_us'"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: 3}"), HasSubstr("must be a list"));
  EXPECT_THAT(refusal("working_sets: [{kib: 16, gbps: {value: 2, source: me}}, {kib: 16, gbps: "
                      "{value: 2, source: me}}]"),
              HasSubstr("ascending"));
  EXPECT_THAT(refusal("working_sets: [{gbps: {value: 2, source: me}}]"), HasSubstr("'kib'"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add, gmacs: 1e-320}]}"),
              HasSubstr("'gmacs'"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: ''}]}"),
              HasSubstr("'kind' is empty"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add, ops: -7}]}"),
              HasSubstr("'ops' is -7; it must be from 0"));
  EXPECT_THAT(refusal(sets + "ops: {source: me, laws: [{kind: add, spread: {error: .nan}}]}"),
              HasSubstr("'error' must be"));
  EXPECT_THAT(refusal("threads: -1"), HasSubstr("'threads' is -1; it must be from 0"));
}

}  // namespace
}  // namespace ridgewalk
