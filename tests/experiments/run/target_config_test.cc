// What a search's targets in YAML ask of a device.
#include "experiments/run/target_config.h"

#include "roofline/latency_model.h"
#include "roofline/memory.h"
#include "roofline/price.h"
#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/experiments/run/written_configs.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

class TargetConfig : public WrittenConfigs {};

// A search at several data types at once: each device at the width of its elements.
TEST_F(TargetConfig, PricesATargetAsItsDeviceDoes) {
  const SearchConfig config = load_search_config(written("more.yaml", R"(base: base.yaml
targets:
  - {profile: core-i7-12700h, latency_ms: 0.0163}
  - {profile: pixel6-cpu, data_type: fp16, latency_ms: 1}
  - {ridge_point: 20.9, data_type: fp32, relative_to: compact-nano}
  - {ridge_point: 83.6, relative_to: compact-nano}
  - {ridge: [0, 500], data_type: bf16, relative_to: compact-nano}
)"),
                                                 {});
  const std::vector<Target>& targets = config.reward.targets;
  EXPECT_EQ(targets[0].models[0], latency_model(load_profile("core-i7-12700h")));
  EXPECT_NEAR(targets[0].latency[0].value, 0.0163e-3 * 162e9, 1e-3);
  EXPECT_EQ(targets[1].name, "pixel6-cpu fp16");
  EXPECT_EQ(targets[1].models[0], latency_model(load_profile("pixel6-cpu"), DataType::kFp16));
  EXPECT_EQ(targets[2].name, "ridge point 20.9 fp32");
  EXPECT_EQ(targets[2].latency, targets[3].latency);
  EXPECT_EQ(targets[3].name, "ridge point 83.6");
  EXPECT_EQ(targets[4].models[1].data_type, DataType::kBf16);
}

// An int8 network whose head stays fp32 on a CPU whose int8 peak is 179 to fp32's 44.8.
TEST_F(TargetConfig, PricesATargetWithAFloatHead) {
  const SearchConfig config = load_search_config(written("head.yaml", R"(base: base.yaml
targets:
  - {profile: pixel6-cpu, head_type: fp32, relative_to: compact-nano}
  - {profile: pixel6-cpu, relative_to: compact-nano}
  - {profile: pixel6-cpu, head_type: int8, relative_to: compact-nano}
  - {weights_mib: 4, head_type: fp32, limit: true}
  - {profile: energy-45nm, energy_mj: 1, head_type: fp32}
  - {ridge_point: 5, head_type: fp32, latency_macs: 1e6}
  - {ridge: [0, 500], head_type: bf16, relative_to: compact-nano}
)"),
                                                 {});
  const std::vector<Target>& targets = config.reward.targets;
  EXPECT_EQ(targets[0].name, "pixel6-cpu head fp32");
  EXPECT_EQ(targets[0].models[0].head_type, DataType::kFp32);
  EXPECT_NEAR(targets[0].models[0].head_mac_cost, 179 / 44.8, 1e-12);
  EXPECT_GT(targets[0].latency[0], targets[1].latency[0]);
  EXPECT_EQ(targets[2].models, targets[1].models);
  EXPECT_EQ(targets[3].models[0].head_type, DataType::kFp32);
  EXPECT_THAT(targets[3].name, testing::EndsWith(" head fp32"));
  EXPECT_NEAR(targets[4].models[0].head_mac_cost, 4.6 / 0.23, 1e-12);
  EXPECT_EQ(targets[5].name, "ridge point 5 head fp32");
  EXPECT_EQ(targets[5].models[0].head_mac_cost, 4);
  for (const LatencyModel& model : targets[6].models) EXPECT_EQ(model.head_mac_cost, 2);
}

// Weights are read once for the images of a batch, so that eight take less than eight times as
// long.
TEST_F(TargetConfig, PricesATargetOfABatch) {
  const SearchConfig config = load_search_config(written("batch.yaml", R"(base: base.yaml
targets:
  - {profile: core-i7-12700h, latency_ms: 0.1, batch: 8}
  - {ridge_point: 20.9, data_type: fp32, relative_to: compact-nano, batch: 8}
  - {ridge_point: 20.9, data_type: fp32, relative_to: compact-nano}
  - {ridge: [0, 500], relative_to: compact-nano, batch: 8}
)"),
                                                 {});
  const std::vector<Target>& targets = config.reward.targets;
  EXPECT_EQ(targets[0].name, "core-i7-12700h batch 8");
  EXPECT_EQ(targets[0].models[0].batch, 8);
  EXPECT_NEAR(targets[0].latency[0].value, 0.1e-3 * 162e9, 1e-3);
  EXPECT_EQ(targets[1].name, "ridge point 20.9 fp32 batch 8");
  EXPECT_GT(targets[1].latency[0], targets[2].latency[0]);
  EXPECT_LT(targets[1].latency[0], 8 * targets[2].latency[0]);
  EXPECT_THAT(targets[3].name, testing::EndsWith(" batch 8"));
  // At ridge point 0 only MACs count.
  const Graph graph = lower(for_space(find_architecture("compact-nano"), config.space));
  EXPECT_EQ(targets[3].latency[0], 8 * network_cost(graph).macs);
  EXPECT_THAT(refusal(written("zero.yaml",
                              "base: base.yaml\ntargets: {ridge_point: 1, latency_macs: 9, "
                              "batch: 0}\n")),
              testing::HasSubstr("batch"));
}

TEST_F(TargetConfig, PricesTheMemoryAndTheEnergyOfABatch) {
  const SearchConfig config = load_search_config(written("memory.yaml", R"(base: base.yaml
targets:
  - {peak_memory_kib: 512, batch: 4, limit: true}
  - {profile: energy-45nm, energy_mj: 1, batch: 8}
)"),
                                                 {});
  const std::vector<Target>& targets = config.reward.targets;
  EXPECT_EQ(targets[0].name, "peak memory batch 4");
  EXPECT_EQ(targets[0].latency[0].value, 512 * 1024);
  EXPECT_EQ(targets[1].name, "energy on energy-45nm batch 8");
  const Graph graph = lower(for_space(find_architecture("compact-nano"), config.space));
  const std::vector<Macs> taken = prices(graph, config.reward.models());
  EXPECT_EQ(taken[0].value, peak_memory(graph, {DataType::kInt8}, 4).value);
  EXPECT_LT(taken[1], 8 * price(graph, energy_model(load_profile("energy-45nm"))));
  for (const char* key : {"weights_mib", "parameters_m", "macs_m"}) {
    EXPECT_EQ(refusal(written("bad.yaml", "base: base.yaml\ntargets:\n  - {" + std::string(key) +
                                              ": 1, batch: 4}\n")),
              folder_ + "/bad.yaml:3: '" + key +
                  "' is of a network, however many images run together; 'batch' is for latencies, "
                  "peak_memory_kib and energy_mj");
  }
}

TEST_F(TargetConfig, RefusesWhatADeviceCannotAnswer) {
  const auto refusal_of = [&](const std::string& target) {
    return refusal(written("bad.yaml", "base: base.yaml\ntargets:\n  - " + target + "\n"));
  };
  const std::string floor = written("floor.yaml", R"(
name: floor
data_type: int8
effective: {ridge_point: {value: 9, source: here}}
terms: {floor_ms: {value: 1, source: here}}
)");
  const std::string at = folder_ + "/bad.yaml:3: ";
  EXPECT_EQ(refusal_of("{profile: pixel8-edgetpu, latency_ms: 1}"),
            at + "'latency_ms' needs a profile with a peak for int8; give latency_macs or "
                 "relative_to");
  EXPECT_EQ(refusal_of("{ridge_point: 5, latency_ms: 1}"),
            at + "'latency_ms' needs a profile with a peak; give latency_macs or relative_to");
  EXPECT_EQ(refusal_of("{profile: core-i7-12700h, data_type: int8, latency_ms: 1}"),
            at + "profile 'core-i7-12700h' has no ridge point for int8; it has fp32 (add "
                 "peak_gmacs for others)");
  EXPECT_EQ(refusal_of("{profile: " + floor + ", relative_to: compact-nano}"),
            at + "profile 'floor' has no peak for int8: its latencies are only relative; add "
                 "peak_gmacs");
  EXPECT_THAT(refusal_of("{profile: tpu-v5e, head_type: fp32, latency_ms: 1}"),
              testing::StartsWith(at + "profile 'tpu-v5e' has no peak for fp32"));
  EXPECT_THAT(refusal_of("{macs_m: 1, head_type: fp32}"), HasSubstr("head_type"));
  EXPECT_THAT(refusal_of("{parameters_m: 1, data_type: fp32}"), HasSubstr("in every data type"));
  EXPECT_THAT(refusal_of("{profile: pixel6-cpu, data_type: fp64, latency_ms: 1}"),
              testing::StartsWith(at + "no data type is named 'fp64'"));
}

// A calibrated machine whose laws lack what the space or the reference has.
TEST_F(TargetConfig, RefusesLawsThatLackAnOp) {
  const auto refusal_with = [&](const std::string& law, const std::string& relative_to) {
    Profile profile = load_profile("epyc-zen5-1-thread");
    std::erase_if(profile.op_laws, [&](const OpLaw& one) { return one.kind == law; });
    written("machine.yaml", to_yaml(profile));
    return refusal(written("bad.yaml", "base: base.yaml\ntargets:\n  - {profile: " + folder_ +
                                           "/machine.yaml, relative_to: " + relative_to + "}\n"));
  };
  EXPECT_EQ(refusal_with("depthwise 3x3", "compact-nano"),
            folder_ +
                "/bad.yaml:3: profile 'epyc-zen5-1-thread' has no law for depthwise 3x3 of "
                "space 'fashion-mnist-small'; calibrate again, or leave them out of the space");
  EXPECT_EQ(refusal_with("multiply", "mobilenet-v3-large"),
            folder_ +
                "/bad.yaml:3: profile 'epyc-zen5-1-thread' has no law for multiply of "
                "'mobilenet-v3-large'; take another relative_to, or give latency_ms");
  EXPECT_EQ(refusal_with("no such law", "compact-nano"), "accepted");
}

}  // namespace
}  // namespace ridgewalk
