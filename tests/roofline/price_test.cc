// What a table of a space says of a network is what its whole graph says, by every profile.
#include "roofline/price.h"

#include "roofline/cost_table.h"
#include "roofline/latency.h"
#include "space/catalog.h"
#include "space/fold.h"
#include "tests/helpers.h"
#include "tests/roofline/enumeration.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// Every built-in profile, for each data type that it can price.
std::vector<LatencyModel> built_in_models() {
  std::vector<LatencyModel> models;
  for (const std::string& name : built_in_profiles()) {
    const Profile profile = load_profile(name);
    for (DataType type : kValues<DataType>) {
      if (type != profile.data_type && !profile.datasheet_ridge_point(type)) continue;
      models.push_back(relative_model(profile, type));
    }
  }
  return models;
}

// All that a profile may say of a device, and more than one term at once.
std::vector<LatencyModel> models_with_terms() {
  const LatencyModel pixel = latency_model(load_profile("pixel6-cpu"));
  LatencyModel depthwise = pixel, overhead = pixel, floor = pixel, cache = pixel;
  depthwise.depthwise_cost = 4.7;
  overhead.op_overhead = {1.7e-5};
  floor.floor = {6.73e-4};
  cache.cache = {100 * 1024};
  cache.cache_bandwidth = {41.3e9};
  LatencyModel all = cache;
  all.depthwise_cost = 5.2, all.op_overhead = {3e-6}, all.floor = {1e-3};
  all.data_type = DataType::kFp32;
  LatencyModel batch = cache, unfused = overhead, both = all;
  batch.batch = 8;
  unfused.kernels = both.kernels = KernelConvention::kUnfused;
  both.batch = 3;
  LatencyModel head = all;
  head.data_type = DataType::kInt8;
  head.head_type = DataType::kFp32, head.head_mac_cost = 3.9;
  return {depthwise, overhead, floor, cache, all, batch, unfused, both, head};
}

// Int8 with an fp32 head: on a device, on the axis, and of every resource that depends on types.
std::vector<LatencyModel> models_with_float_head() {
  constexpr DataType kInt8 = DataType::kInt8, kFp32 = DataType::kFp32;
  const Profile pixel = load_profile("pixel6-cpu");
  return {with_head(latency_model(pixel), pixel, kFp32), with_head({.ridge_point = {31.2}}, kFp32),
          resource_model(Resource::kWeights, kInt8, kFp32),
          resource_model(Resource::kPeakMemory, kInt8, kFp32),
          energy_model(load_profile("energy-45nm"), NetworkTypes{kInt8, kFp32})};
}

void expect_table_equals_lowering(const SearchSpace& space, const std::vector<LatencyModel>& models,
                                  int members, uint64_t seed) {
  const CostTable table(space, models);
  std::mt19937_64 random(seed);
  for (int i = 0; i < members; ++i) {
    const Decisions decisions = sample(space, random);
    const std::vector<Macs> by_table = table.price(decisions);
    const std::vector<Macs> by_graph = prices(lower(decode(space, decisions)), models);
    for (size_t m = 0; m < models.size(); ++m) {
      ASSERT_EQ(by_table[m], by_graph[m])
          << space.name << " " << models[m].profile << " " << to_string(models[m].data_type);
    }
  }
}

// 43 profiles at up to four data types, among them one with laws of ops, price every network of a
// batch at once.
TEST(Price, OfATableIsThatOfTheGraphByEveryProfileInEverySpace) {
  std::vector<LatencyModel> models = built_in_models();
  for (const LatencyModel& model : models_with_terms()) models.push_back(model);
  for (const std::string& name : built_in_spaces()) {
    expect_table_equals_lowering(load_search_space(name), models, name == "mobile" ? 20 : 60, 31);
    if (HasFatalFailure()) return;
  }
}

TEST(Price, OfATableIsThatOfTheGraphForThousandsOfNetworks) {
  std::vector<LatencyModel> models = models_with_terms();
  models.push_back(latency_model(load_profile("epyc-zen5-1-thread")));
  models.push_back(models.back());
  models.back().batch = 8;  // by laws, too
  models.push_back(latency_model(load_profile("core-i7-12700h")));
  for (const LatencyModel& model : models_with_float_head()) models.push_back(model);
  for (const std::string& name : built_in_spaces()) {
    expect_table_equals_lowering(load_search_space(name), models, 2000, 32);
    if (HasFatalFailure()) return;
  }
}

// The tiny space offers layer scales, which give a folded convolution a bias, and activations.
TEST(Price, ByLawsKnowsActivationsAndFoldedLayerScales) {
  LatencyModel model = latency_model(load_profile("epyc-zen5-1-thread"));
  expect_table_equals_lowering(tiny_space(), {model, model, model}, 3000, 33);
}

TEST(Price, ByLawsReachesNoFurtherThanTheTableSays) {
  const SearchSpace space = load_search_space("fashion-mnist");
  const CostTable table(space, {latency_model(load_profile("epyc-zen5-1-thread"))});
  const CostTable::Range reachable = table.reachable()[0];
  std::mt19937_64 random(34);
  Macs lowest{1e300}, highest;
  for (int i = 0; i < 20000; ++i) {
    const Macs price = table.price(sample(space, random))[0];
    ASSERT_GE(price, reachable.lowest);
    ASSERT_LE(price, reachable.highest);
    lowest = std::min(lowest, price), highest = std::max(highest, price);
  }
  // The bounds are of use: samples come within a factor of three of both.
  EXPECT_LT(lowest / reachable.lowest, 3);
  EXPECT_LT(reachable.highest / highest, 3);
}

TEST(Price, ReachesWhatEnumerationFindsWithTerms) {
  expect_enumerated_reach(tiny_space(), models_with_terms());
  expect_enumerated_reach(tiny_space(), models_with_float_head());
}

// By hand: as many MACs and activations as images, the weights once.
TEST(Price, OfABatchReadsTheWeightsOnce) {
  const Graph graph = lower(find_architecture("mnv4-hybrid-medium"));
  LatencyModel model = latency_model(load_profile("core-i7-12700h"));
  model.batch = 16;
  double sum = 0, macs = 0;
  for (const OpCost& cost : op_costs(graph)) {
    const double bytes = 4.0 * double(cost.weight_elements + 16 * cost.activation_elements);
    sum += std::max(16 * cost.macs.value, 20.9 * bytes);
    macs += cost.macs.value;
  }
  EXPECT_NEAR(price(graph, model).value, sum, 1e-9 * sum);
  const NetworkCost batch = network_cost(graph, ByteConvention::kMnv4, 16);
  EXPECT_EQ(batch.macs.value, 16 * macs);
  EXPECT_EQ(batch.weight_elements, network_cost(graph).weight_elements);
  EXPECT_EQ(batch.activation_elements, 16 * network_cost(graph).activation_elements);
  model.ridge_point = {0};
  EXPECT_EQ(price(graph, model).value, 16 * macs);
}

// By hand. The head of mnv4-conv-small: 1x1 convolutions from 128 to 960 channels at 7 x 7 pixels
// and from 960 to 1280 at one, and the classifier. At 20 MACs per byte the first one is bound by
// its MACs in int8, and by them in fp32 still more; the other two wait for their weights.
TEST(Price, OfAFloatHeadHasItsBytesAndItsPeak) {
  Profile profile;
  profile.name = "device";
  profile.peak_gmacs = {{DataType::kInt8, {400, "test"}}, {DataType::kFp32, {80, "test"}}};
  profile.bandwidth_gbps = Sourced{20, "test"};
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const LatencyModel int8 = latency_model(profile);
  const LatencyModel mixed = with_head(int8, profile, DataType::kFp32);
  EXPECT_EQ(mixed.ridge_point, MacsPerByte{20});
  const double first = 49. * 128 * 960, second = 960. * 1280, third = 1280. * 1000;
  const auto elements = [](double weights, double in, double out) { return weights + in + out; };
  const double before = std::max(first, 20 * elements(128 * 960, 49 * 128, 49 * 960)) +
                        20 * elements(second, 960, 1280) + 20 * elements(third + 1000, 1280, 1000);
  const double after = std::max(5 * first, 80 * elements(128 * 960, 49 * 128, 49 * 960)) +
                       80 * elements(second, 960, 1280) + 80 * elements(third + 1000, 1280, 1000);
  EXPECT_NEAR((price(graph, mixed) - price(graph, int8)).value, after - before, 1);
  EXPECT_EQ(with_head(int8, profile, DataType::kInt8), int8);
  EXPECT_NEAR(predict(graph, mixed).total().value, price(graph, mixed).value / 400e9, 1e-9);
}

// Weights of 128 x 960, 960 x 1280 and 1280 x 1000, three more bytes each; biases have four anyway.
TEST(Price, OfAFloatHeadStoresItsWeightsInFp32) {
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  LatencyModel model = resource_model(Resource::kWeights, DataType::kInt8);
  const double int8 = price(graph, model).value;
  model.head_type = DataType::kFp32;
  EXPECT_EQ(price(graph, model).value - int8, 3 * (128 * 960 + 960 * 1280 + 1280 * 1000));
}

// Where nothing is known of peaks the head takes as many times as long as it is wider.
TEST(Price, OfAFloatHeadOnTheAxisIsFourTimesThatInInt8) {
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const std::vector<OpCost> costs = op_costs(graph);
  const LatencyModel int8{.ridge_point = {31.2}};
  const LatencyModel mixed = with_head(int8, DataType::kFp32);
  const Section head{graph, head_begin(graph), int(graph.ops.size())};
  EXPECT_EQ(graph.ops[size_t(head.begin)].name, "blocks.4.0.conv");
  EXPECT_EQ(price(graph, mixed).value,
            (price(graph, int8) + 3 * load(head, costs, int8).time).value);
  EXPECT_EQ(price(graph, mixed),
            latency(on_axis(costs, graph, mixed.types()), int8.ridge_point, DataType::kInt8));
  expect_error([&] { on_axis(costs, graph, {DataType::kFp32, DataType::kInt8}); }, "narrower");
}

// Horowitz's 0.23 pJ for an int8 MAC and 4.6 for one in fp32, and DRAM's 162.5 for each byte.
TEST(Price, OfAFloatHeadTakesTheEnergyOfFp32) {
  const Profile profile = load_profile("energy-45nm");
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const double macs = 49. * 128 * 960 + 960. * 1280 + 1280. * 1000;
  const double bytes = 3 * (128. * 960 + 49. * (128 + 960) + 960. * 1280 + 960 + 1280 +
                            1280. * 1000 + 1000 + 1280 + 1000);
  const double more =
      price(graph, energy_model(profile, NetworkTypes{DataType::kInt8, DataType::kFp32})).value -
      price(graph, energy_model(profile)).value;
  EXPECT_NEAR(more, macs * (4.6 - 0.23) + bytes * 162.5, 1);
  expect_error([&] { energy_model(profile, NetworkTypes{DataType::kInt8, DataType::kBf16}); },
               "energy of a MAC in bf16", "picojoules_per_mac_of");
}

TEST(WithHead, RefusesWhatItCannotPrice) {
  Profile profile;
  profile.name = "device";
  profile.peak_gmacs = {{DataType::kInt8, {400, "test"}}};
  profile.bandwidth_gbps = Sourced{20, "test"};
  expect_error([&] { with_head(latency_model(profile), profile, DataType::kFp32); }, "'device'",
               "no peak for fp32", "peak_gmacs");
  const Profile epyc = load_profile("epyc-zen5-1-thread");
  expect_error([&] { with_head(latency_model(epyc), epyc, DataType::kBf16); },
               "laws of ops in fp32", "bf16");
}

TEST(Price, ByLawsOfABatchIsThatOfItsOps) {
  const Profile epyc = load_profile("epyc-zen5-1-thread");
  const Graph graph = lower(find_architecture("mnv4-hybrid-medium"));
  LatencyModel model = latency_model(epyc);
  model.batch = 8;
  Seconds sum;
  for (const OpLatency& op : predict_ops(fold_norms(graph).graph, epyc, 8)) sum += op.seconds;
  EXPECT_EQ(predict_by_laws(graph, epyc, 8).total, price(graph, model) / model.peak);
  EXPECT_NEAR(sum / predict_by_laws(graph, epyc, 8).total, 1, 1e-9);
  const double times = predict_by_laws(graph, epyc, 8).total / predict_by_laws(graph, epyc).total;
  EXPECT_GT(times, 5);
  EXPECT_LT(times, 8.5);
}

// MobileNetV1 has 27 convolutions, each with a norm and a ReLU, a pool and a classifier.
TEST(KernelCount, OfMobileNetV1IsThatOfItsLayers) {
  const Graph graph = lower(find_architecture("mobilenet-v1"));
  EXPECT_EQ(kernel_count(graph, KernelConvention::kFused), 28);
  EXPECT_EQ(kernel_count(graph, KernelConvention::kUnfused), 3 * 27 + 2);
}

// An fp32 device at ridge point 20.9 waits as an int8 device at 83.6 does.
TEST(Price, CountsTheBytesOfTheDataType) {
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const LatencyModel model = latency_model(load_profile("core-i7-12700h"));
  EXPECT_EQ(price(graph, model), latency(graph, {20.9}, DataType::kFp32));
  EXPECT_EQ(price(graph, model), latency(graph, {4 * 20.9}, DataType::kInt8));
  EXPECT_EQ(model.place_on_axis(DataType::kInt8).value, 4 * 20.9);
  EXPECT_EQ(model.place_on_axis(DataType::kFp16).value, 2 * 20.9);
}

TEST(Price, IsWhatPredictionsSay) {
  for (const char* name : {"mnv4-conv-small", "mnv4-hybrid-medium", "mobilenet-v3-large"}) {
    const Graph graph = lower(find_architecture(name));
    for (const LatencyModel& model : models_with_terms()) {
      const Prediction prediction = predict(graph, model);
      const Seconds sum = prediction.roofline + prediction.depthwise + prediction.cache +
                          prediction.op_overhead + prediction.floor;
      EXPECT_EQ(prediction.total(), price(graph, model) / model.peak);
      EXPECT_NEAR(sum / prediction.total(), 1, 1e-14);
    }
    const Profile epyc = load_profile("epyc-zen5-1-thread");
    const LatencyModel model = latency_model(epyc);
    Seconds sum;
    for (const OpLatency& op : predict_ops(fold_norms(graph).graph, epyc)) sum += op.seconds;
    EXPECT_EQ(predict_by_laws(graph, epyc).total, price(graph, model) / model.peak);
    EXPECT_NEAR(sum / predict_by_laws(graph, epyc).total, 1, 1e-9);
  }
}

TEST(CostTable, RefusesLawsThatLackAnOpOfTheSpace) {
  Profile profile = load_profile("epyc-zen5-1-thread");
  std::erase_if(profile.op_laws, [](const OpLaw& law) {
    return law.kind == "depthwise 3x3" || law.kind == "activation relu";
  });
  EXPECT_THAT(error_of([&] { CostTable(tiny_space(), {latency_model(profile)}); }),
              HasSubstr("profile 'epyc-zen5-1-thread' has no law for activation relu, depthwise "
                        "3x3 of space 'tiny'; calibrate again"));
}

// 20 us per op with MACs, whatever its size.
TEST(LatencyModelOf, AnOverheadAloneCountsOps) {
  const Profile profile = profile_from_yaml(
      "{name: gpu, data_type: fp16, terms: {op_overhead_us: {value: 20, source: here}}}", "g.yaml");
  EXPECT_TRUE(profile.is_overhead_alone());
  EXPECT_EQ(profile_from_yaml(to_yaml(profile), "again"), profile);
  const LatencyModel model = latency_model(profile);
  const Graph small = lower(find_architecture("mnv4-conv-small"));
  const Graph large = lower(find_architecture("mnv4-conv-small@2"));
  const std::vector<OpCost> costs = op_costs(small);
  const auto ops = std::count_if(costs.begin(), costs.end(),
                                 [](const OpCost& cost) { return cost.macs.value > 0; });
  EXPECT_NEAR((price(small, model) / model.peak).value, 20e-6 * double(ops), 1e-12);
  EXPECT_EQ(price(small, model), price(large, model));
  EXPECT_EQ(predict(small, model).total(), price(small, model) / model.peak);
  // Peaks and a bandwidth would give other types a ridge point, but not an overhead.
  const std::string refusal = error_of([&] { latency_model(profile, DataType::kFp32); });
  EXPECT_EQ(refusal,
            "profile 'gpu' has only the overhead of an operation in fp16, which says nothing of "
            "fp32; leave the data type out, or fit latencies in that type");
  EXPECT_EQ(error_of([&] { relative_model(profile, DataType::kFp32); }), refusal);
  // Of a runtime that fuses nothing: a norm after each of the convolutions, and more.
  const Profile eager = profile_from_yaml(
      "{name: eager, data_type: fp16, terms: {kernels: unfused, "
      "op_overhead_us: {value: 20, source: here}}}",
      "e.yaml");
  EXPECT_EQ(profile_from_yaml(to_yaml(eager), "again"), eager);
  const LatencyModel unfused = latency_model(eager);
  EXPECT_NEAR((price(small, unfused) / unfused.peak).value, 20e-6 * double(small.ops.size() - 1),
              1e-12);
  expect_table_equals_lowering(tiny_space(), {model}, 100, 35);
}

TEST(LatencyModelOf, KnowsWhatNoNetworkWasMeasuredFor) {
  const auto is_guess = [](const char* name, std::optional<DataType> type = std::nullopt) {
    return latency_model(load_profile(name), type).is_guess();
  };
  EXPECT_TRUE(is_guess("pixel6-gpu"));
  EXPECT_TRUE(is_guess("pixel4-dsp"));  // its ridge point was fitted, its peak was not
  EXPECT_TRUE(is_guess("pixel6-cpu", DataType::kFp16));
  EXPECT_FALSE(is_guess("pixel6-cpu"));
  EXPECT_FALSE(is_guess("epyc-zen5-1-thread"));
  EXPECT_FALSE(is_guess("core-i7-12700h"));
  const Profile pixel = load_profile("pixel6-cpu");  // fitted in int8
  EXPECT_TRUE(with_head(latency_model(pixel), pixel, DataType::kFp32).is_guess());
}

// As it is fitted: of a GPU's large batches nothing follows for single images, whose launches they
// do not show, nor from single images for a batch.
TEST(LatencyModelOf, KnowsTheBatchesThatWereMeasured) {
  const auto why = [](const char* name, int batch) {
    LatencyModel model = latency_model(load_profile(name));
    model.batch = batch;
    EXPECT_EQ(model.is_guess(), !why_guess(model).empty());
    return why_guess(model);
  };
  EXPECT_EQ(why("rtx-3090", 1),
            "by what was measured of batches of 768 to 1024, none of single images");
  EXPECT_EQ(why("rtx-3090", 768), "");
  EXPECT_EQ(why("rtx-3090", 1024), "");
  EXPECT_EQ(why("rtx-3090", 1025),
            "by what was measured of batches of 768 to 1024, none of batches of 1025");
  EXPECT_EQ(why("rtx-4090", 255), "by what was measured of batches of 256, none of batches of 255");
  EXPECT_EQ(why("pixel6-cpu", 1), "");
  EXPECT_EQ(why("pixel6-cpu", 8), "by what was measured of single images, none of batches of 8");
  EXPECT_EQ(why("epyc-zen5-1-thread", 2),
            "by what was measured of single images, none of batches of 2");  // by laws
  EXPECT_EQ(why("pixel6-gpu", 8), "by a datasheet's peak; no network was measured");
  EXPECT_EQ(why("pixel4-dsp", 1), "by a datasheet's peak; only the ridge point was fitted");
}

TEST(RelativeModel, NeedsAPeakOnlyForTermsInSeconds) {
  Profile profile = load_profile("pixel8-edgetpu");
  EXPECT_EQ(relative_model(profile).ridge_point.value, 433.8);
  EXPECT_EQ(relative_model(profile).peak.value, 0);
  profile.terms.depthwise_cost = Sourced{4, "here"};
  EXPECT_EQ(relative_model(profile).depthwise_cost, 4);
  profile.terms.floor_ms = Sourced{4, "here"};
  EXPECT_THAT(error_of([&] { relative_model(profile); }),
              HasSubstr("profile 'pixel8-edgetpu' has no peak for int8"));
  EXPECT_THAT(error_of([&] { relative_model(load_profile("pixel3-cpu"), DataType::kBf16); }),
              HasSubstr("profile 'pixel3-cpu' has no ridge point for bf16; it has fp32"));
}

}  // namespace
}  // namespace ridgewalk
