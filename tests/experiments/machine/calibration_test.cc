#include "experiments/machine/calibration.h"

#include <set>

#include <gmock/gmock.h>

#include "space/catalog.h"
#include "space/decisions.h"
#include "space/fold.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

std::set<std::string> kinds_of(const Architecture& architecture) {
  const Graph graph = fold_norms(lower(architecture)).graph;
  std::set<std::string> kinds;
  for (const Op& op : graph.ops) kinds.insert(law_kind(graph, op));
  return kinds;
}

// What `calibrate` draws by default has every kind of op of the catalogue and of the spaces'
// members.
TEST(CalibrationNetworks, HaveEveryKindOfOp) {
  std::set<std::string> known;
  for (const Architecture& network : calibration_networks(80, 0)) known.merge(kinds_of(network));
  std::vector<Architecture> wanted;
  for (const std::string& name : catalog_names()) wanted.push_back(find_architecture(name));
  std::mt19937_64 random(1);
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    for (int i = 0; i < 30; ++i) wanted.push_back(decode(space, sample(space, random)));
  }
  for (const Architecture& network : wanted) {
    EXPECT_THAT(known, testing::IsSupersetOf(kinds_of(network))) << network.name;
  }
}

// "None of them used in calibration": also where `sweep --members` has the same seed.
TEST(CalibrationNetworks, AreNoneOfTheMembersOfTheSameSeed) {
  const SearchSpace space = load_search_space("mobile");
  const std::vector<Architecture> networks = calibration_networks(80, 1);
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    const Architecture member = decode(space, sample(space, random));
    EXPECT_THAT(networks, testing::Each(testing::Ne(member)));
  }
}

// Networks whose every MAC takes as long. One has kinds of op that no other has: laws of the others
// cannot know these, so that it, and it alone, is predicted too fast.
TEST(HeldOutAgreement, DoesNotSeeWhatItPredicts) {
  std::vector<TimedNetwork> networks;
  for (int i = 0; i < 16; ++i) {
    Architecture architecture = find_architecture(i == 5 ? "mnv4-conv-small" : "mobilenet-v1");
    architecture.resolution = 64 + 16 * i;
    TimedNetwork network{.graph = lower(architecture), .folded = {}, .timing = {}};
    network.folded = fold_norms(network.graph).graph;
    const std::vector<OpCost> costs = op_costs(network.folded);
    for (size_t op = 0; op < costs.size(); ++op) {
      if (costs[op].macs.value == 0) continue;
      const double seconds = 1e-11 * costs[op].macs.value;
      network.timing.steps.push_back({{"step", {int(op)}, "kernel"}, seconds});
      network.timing.median_seconds += seconds;
    }
    networks.push_back(std::move(network));
  }
  Profile profile;
  profile.name = "test";
  profile.data_type = DataType::kFp32;
  profile.working_sets = {{1, {1e9, "test"}}};
  const Agreement agreement = held_out_agreement(networks, profile);
  EXPECT_NEAR(agreement.within_5, 15. / 16, 1e-9);
}

}  // namespace
}  // namespace ridgewalk
