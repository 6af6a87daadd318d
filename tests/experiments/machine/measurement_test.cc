// What is made of measured latencies: figures computed by hand.
#include "experiments/machine/measurement.h"

#include <map>

#include <gmock/gmock.h>

#include "space/catalog.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;
using testing::Not;

// Medians of 10, 20, 30 and 40 ms. The second pass takes 1.25 times the first.
MeasuredNetworks four_networks() {
  const auto network = [](const char* name, double median, double predicted, double roofline) {
    return MeasuredNetwork{.name = name,
                           .macs = 1e6 * median,
                           .predicted_ms = predicted,
                           .roofline_ms = roofline,
                           .passes_ms = {median, 1.25 * median, median, 0.5 * median, median}};
  };
  MeasuredNetworks measured{.profile = "mine",
                            .profile_machine = "a CPU",
                            .machine = "a CPU",
                            .threads = 3,
                            .drift = 2,
                            .networks = {network("a", 10, 10.8, 40), network("b", 20, 17, 30),
                                         network("c, d", 30, 30.6, 20), network("e", 40, 40, 10)}};
  measured.networks[1].unknown = {"depthwise 9x9"};
  return measured;
}

TEST(MeasuredNetwork, TakesTheMedianOfItsPasses) {
  EXPECT_EQ((MeasuredNetwork{.name = "", .passes_ms = {5, 1, 4, 2, 3}}.measured_ms()), 3);
}

TEST(Agreements, CompareEveryPredictionWithTheMedians) {
  std::map<std::string, NetworkAgreement> found;
  std::vector<std::string> names;
  for (const auto& [name, figures] : agreements(four_networks())) {
    found[name] = figures;
    names.push_back(name);
  }
  EXPECT_THAT(names, testing::ElementsAre("laws", "drifted", "roofline", "macs", "twice",
                                          "twice_less_drift"));
  // Errors of 8, 15, 2 and 0 %.
  EXPECT_NEAR(found["laws"].mean_error, 0.0625, 1e-12);
  EXPECT_NEAR(found["laws"].median_error, 0.05, 1e-12);
  EXPECT_EQ(found["laws"].within_5, 0.5);
  EXPECT_EQ(found["laws"].within_10, 0.75);
  EXPECT_EQ(found["laws"].within_20, 1);
  EXPECT_NEAR(found["laws"].spearman, 1, 1e-12);
  // 21.6, 34, 61.2 and 80 ms.
  EXPECT_NEAR(found["drifted"].mean_error, (1.16 + 0.7 + 1.04 + 1) / 4, 1e-12);
  EXPECT_NEAR(found["roofline"].spearman, -1, 1e-12);
  EXPECT_NEAR(found["macs"].mean_error, 0, 1e-12);  // 1e-6 ms a MAC
  // Two disjoint pairs, both concordant: tau is above 2 sqrt(0.05) - 1 = -0.553, and rho by Durbin
  // and Stuart above (tau^2 + 2 tau - 1) / 2 = -0.9.
  ASSERT_TRUE(found["laws"].spearman_interval);
  EXPECT_NEAR(found["laws"].spearman_interval->low, -0.9, 1e-9);
  EXPECT_EQ(found["laws"].spearman_interval->high, 1);
  EXPECT_NEAR(found["roofline"].spearman_interval->high, 0.9, 1e-9);
  EXPECT_NEAR(found["twice"].mean_error, 0.25, 1e-12);
  EXPECT_NEAR(found["twice_less_drift"].mean_error, 0, 1e-12);
}

TEST(Agreements, OfTwoNetworksSayNothing) {
  MeasuredNetworks measured = four_networks();
  measured.networks.resize(2);
  EXPECT_TRUE(agreements(measured).empty());
  EXPECT_EQ(measured_json(measured)["agreement"], Json::object());
  EXPECT_THAT(measured_table(measured), Not(HasSubstr("Spearman")));
}

TEST(MeasuredJson, KeepsWhatAReportReads) {
  MeasuredNetworks measured = four_networks();
  const Json json = measured_json(measured);
  EXPECT_EQ(json["profile"], "mine");
  EXPECT_EQ(json["threads"], 3);
  EXPECT_EQ(json["data_type"], "fp32");
  EXPECT_EQ(json["drift"], 2);
  EXPECT_EQ(json["networks"].size(), 4u);
  EXPECT_EQ(json["networks"][2]["name"], "c, d");
  EXPECT_EQ(json["networks"][2]["measured_ms"], 30);
  EXPECT_EQ(json["networks"][1]["unknown"], Json::array({"depthwise 9x9"}));
  EXPECT_NEAR(json["agreement"]["laws"]["mean_error"].get<double>(), 0.0625, 1e-12);
  measured.drift.reset();
  EXPECT_TRUE(measured_json(measured)["drift"].is_null());
  EXPECT_FALSE(measured_json(measured)["agreement"].contains("drifted"));
  EXPECT_NEAR(json["agreement"]["laws"]["spearman_interval"][0].get<double>(), -0.9, 1e-9);
  for (MeasuredNetwork& network : measured.networks) network.roofline_ms = 1;
  EXPECT_TRUE(measured_json(measured)["agreement"]["roofline"]["spearman"].is_null());
  EXPECT_TRUE(measured_json(measured)["agreement"]["roofline"]["spearman_interval"].is_null());
}

TEST(MeasuredCsv, HasOneRowPerNetwork) {
  MeasuredNetworks measured = four_networks();
  measured.networks = {measured.networks[1], measured.networks[2]};
  EXPECT_EQ(measured_csv(measured, {"b", "members/c, d.yaml"}),
            "network,macs,predicted_ms,lower_bound,roofline_ms,measured_ms,pass_1_ms,pass_2_ms,"
            "pass_3_ms,pass_4_ms,pass_5_ms\n"
            "b,20000000,17,1,30,20,20,25,20,10,20\n"
            "\"members/c, d.yaml\",30000000,30.6,0,20,30,30,37.5,30,15,30\n");
}

TEST(MeasuredTable, SaysWhatAReaderHasToKnow) {
  MeasuredNetworks measured = four_networks();
  const std::string text = measured_table(measured);
  EXPECT_THAT(text, HasSubstr(">= 17"));
  EXPECT_THAT(text, HasSubstr("no law for depthwise 9x9"));
  EXPECT_THAT(text, HasSubstr("2.000 times as long"));
  EXPECT_THAT(text, HasSubstr("+25.0 %"));  // the second pass
  EXPECT_THAT(text, HasSubstr("1.000 [-0.900, 1.000]"));
  EXPECT_THAT(text, HasSubstr("brackets: 90 % intervals: the exact bound from disjoint pairs"));
  EXPECT_THAT(text, Not(HasSubstr("another machine")));
  measured.machine = "another CPU";
  EXPECT_THAT(measured_table(measured), HasSubstr("of another machine (a CPU)"));
}

TEST(MeasureNetworks, RefusesAProfileThatIsNotMeasuredHere) {
  Profile profile;
  profile.name = "half";
  profile.data_type = DataType::kFp16;
  try {
    measure_networks({}, profile, true);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("'half' is for fp16"));
  }
}

// A copy of a network would count twice in the agreements.
TEST(MeasureNetworks, RefusesANetworkUnderTwoNames) {
  Profile profile;
  profile.data_type = DataType::kFp32;
  const Architecture nano = find_architecture("compact-nano");
  Architecture copy = nano;
  copy.name = "copy";
  try {
    measure_networks({nano, find_architecture("mnv4-conv-small"), copy}, profile, true);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), HasSubstr("copy: is the same network as 'compact-nano'"));
  }
}

}  // namespace
}  // namespace ridgewalk
