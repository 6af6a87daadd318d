// A device's figures from a table of latencies.
#include <random>

#include "roofline/fit.h"
#include "roofline/latency.h"
#include "roofline/profile.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/lowering.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

// Eleven networks measured twenty times each are eleven networks, of which none is held out while
// another of its rows is fitted.
TEST_F(Program, FitsNetworksNotRows) {
  const std::vector<std::pair<std::string, double>> edgetpu = {
      {"mobilenet-v2-050", 0.7},       {"mobilenet-v3-large-050", 0.8}, {"mobilenet-v2", 0.9},
      {"mobilenet-v3-large", 0.9},     {"mnv4-conv-small", 0.7},        {"mobilenet-v1", 0.9},
      {"mobilenet-v3-large-150", 1.5}, {"mnv4-conv-medium", 1.1},       {"mnv4-hybrid-medium", 2.2},
      {"mobilenet-v2-150", 1.2}};
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> noise(0.99, 1.01);
  const auto write_table = [&](const std::string& name, int times) {
    std::ofstream table(folder_ + "/" + name);
    table << "\xEF\xBB\xBFnetwork,a_ms\r\n";
    for (int i = 0; i < times; ++i) {
      for (const auto& [network, ms] : edgetpu) {
        table << network << "," << ms * noise(random) << "\r\n";
      }
    }
    return folder_ + "/" + name;
  };
  const auto fitted = [&](const std::string& table) {
    const Outcome outcome = run({"fit", table, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto once = fitted(write_table("once.csv", 1));
  const auto many = fitted(write_table("many.csv", 20));
  EXPECT_EQ(many.at("networks").size(), edgetpu.size());
  EXPECT_FALSE(once.at("ridge_point_is_determined"));
  EXPECT_FALSE(many.at("ridge_point_is_determined"));
  EXPECT_NEAR(many.at("held_out").at("roofline").at("mean_error").at("value").get<double>(),
              once.at("held_out").at("roofline").at("mean_error").at("value").get<double>(), 0.05);
  EXPECT_THAT(many.at("warnings").dump(), HasSubstr("190 rows measure a network again"));
  expect_refused({"fit", folder_ + "/once.csv", "--test", folder_ + "/many.csv"},
                 {"many.csv", "0 of 10 networks that were not fitted"});
  std::ofstream(folder_ + "/two.csv") << "network,a_ms\nmnv4-conv-small,1\nmobilenet-v2,2\n";
  expect_refused({"fit", folder_ + "/two.csv"}, {"two.csv", "at least 3 networks", "there are 2"});
  std::ofstream(folder_ + "/equal.csv")
      << "network,a_ms\nmnv4-conv-small,1\nmobilenet-v2,1\nmobilenet-v1,1\n";
  const Outcome equal = run({"fit", folder_ + "/equal.csv"});
  EXPECT_EQ(equal.exit_code, 0) << equal.err;
  EXPECT_THAT(equal.out, testing::Not(HasSubstr("nan")));
  std::ofstream flat(folder_ + "/flat.csv");
  flat << "network,a_ms\n";
  for (const auto& [network, ms] : edgetpu) flat << network << ",2.5\n";
  flat.close();
  const Outcome one_latency = run({"fit", folder_ + "/flat.csv"});
  EXPECT_EQ(one_latency.exit_code, 0) << one_latency.err;
  EXPECT_THAT(one_latency.out, HasSubstr("ridge point      none"));
  EXPECT_THAT(one_latency.out, HasSubstr("floor            2.5 ms"));
}

// Eight networks with nine heads each are eight networks in all that is said.
TEST_F(Program, FitSpeaksOfNetworksWhateverTheirHeads) {
  const std::string path = folder_ + "/heads.csv", test = folder_ + "/other-heads.csv",
                    profile = folder_ + "/heads.yaml";
  const auto write_table = [](const std::string& file, const std::vector<std::string>& networks) {
    std::ofstream table(file);
    table << "network,classes,a_ms\n";
    for (size_t i = 0; i < networks.size(); ++i) {
      for (int classes = 10; classes < 100; classes += 10) {
        table << networks[i] << "," << classes << "," << 1 + 0.3 * double(i) + 1e-4 * classes
              << "\n";
      }
    }
  };
  write_table(path,
              {"mobilenet-v2-050", "mobilenet-v3-large-050", "mobilenet-v2", "mobilenet-v1",
               "mnv4-conv-small", "mobilenet-v3-large", "mnv4-conv-medium", "mobilenet-v2-150"});
  write_table(test, {"mobilenet-v1", "compact-nano", "mnv4-hybrid-medium"});
  const Outcome outcome = run({"fit", path, "--out", profile, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("networks").size(), 72u);
  EXPECT_THAT(json.at("protocol").get<std::string>(),
              HasSubstr("each network predicted by a fit of the others"));
  EXPECT_THAT(load_profile(profile).description, HasSubstr("to 8 networks of"));
  const Outcome held_out = run({"fit", path, "--test", test});
  ASSERT_EQ(held_out.exit_code, 0) << held_out.err;
  EXPECT_THAT(held_out.out, HasSubstr("fitted on 8 networks, predicted 2 others"));
  EXPECT_THAT(held_out.out, testing::StartsWith("2 networks of " + test + " in int8"));
  EXPECT_THAT(held_out.out, HasSubstr("1 network of the test table was left out"));
  write_table(test, {"mobilenet-v1", "compact-nano"});
  expect_refused({"fit", path, "--test", test}, {"has 1 of 2 networks that were not fitted"});
}

TEST_F(Program, FitsADeviceAndPredictsWithIt) {
  const std::string table = "experiments/measurements/mobilenetv4-table6.csv";
  const std::string profile = folder_ + "/phone.yaml";
  const Outcome outcome = run(
      {"fit", table, "--latency", "pixel6_cpu_ms", "--terms", "none", "--out", profile, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("networks").size(), 11u);
  EXPECT_NEAR(json.at("fit").at("ridge_point"), 31.2, 3.2);
  // A depthwise cost predicts as well, from another ridge point.
  EXPECT_FALSE(json.at("ridge_point_is_determined"));
  EXPECT_THAT(json.at("warnings").dump(), HasSubstr("terms that predict as well"));
  EXPECT_TRUE(json.at("held_out").at("a constant").at("spearman").is_null());
  EXPECT_EQ(json.at("held_out").size(), 5u);
  EXPECT_EQ(load_profile(profile).ridge_point().value, json.at("fit").at("ridge_point"));
  EXPECT_THAT(read(profile), HasSubstr("they do not determine it"));
  std::ofstream(folder_ + "/bad.csv") << "network,a_ms\nmnv4-conv-smal,1\n";
  expect_refused({"fit", folder_ + "/bad.csv"}, {"bad.csv:2", "mnv4-conv-smal"});
  expect_refused({"fit", table}, {"--latency"});
  expect_refused({"fit", table, "--latency", "pixel6_cpu_ms", "--terms", "magic"}, {"magic"});
  expect_refused({"fit", table, "--latency", "pixel6_cpu_ms", "--terms", "floor,auto"},
                 {"'auto' stands alone"});
  const Outcome given =
      run({"fit", table, "--latency", "pixel6_cpu_ms", "--ridge-point", "31.2", "--out", profile});
  EXPECT_EQ(given.exit_code, 0) << given.err;
  EXPECT_THAT(given.out, HasSubstr("ridge point      31.2 MACs/byte"));
  EXPECT_THAT(read(profile), testing::Not(HasSubstr("determine")));
  expect_refused({"fit", table, "--latency", "pixel6_cpu_ms", "--bytes", "all"},
                 {"--bytes", "'all'"});
}

// As a GPU at batch 1: each op takes 20 us, and larger ones no longer. The best model is kept.
TEST_F(Program, FitKeepsAnOverheadAlone) {
  std::ofstream table(folder_ + "/gpu.csv");
  table << "network,a_ms\n";
  for (const char* name : {"mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mnv4-conv-small",
                           "mnv4-conv-medium", "mnv4-conv-large"}) {
    const std::vector<OpCost> costs = op_costs(lower(find_architecture(name)));
    double ops = 0, gmacs = 0;
    for (const OpCost& cost : costs) ops += cost.macs.value > 0, gmacs += 1e-9 * cost.macs.value;
    table << name << "," << 0.02 * ops - 1e-3 * gmacs << "\n";
  }
  table.close();
  const std::string profile = folder_ + "/gpu.yaml";
  const Outcome outcome =
      run({"fit", folder_ + "/gpu.csv", "--terms", "overhead", "--out", profile});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(load_profile(profile).is_overhead_alone());
  EXPECT_NEAR(load_profile(profile).terms.op_overhead_us->value, 20, 0.5);
  const Outcome described = run({"describe", "mnv4-conv-small", "--profile", profile});
  EXPECT_THAT(described.out, HasSubstr("(overheads alone)"));
}

// As eager PyTorch: each kernel takes 5 us, norms, activations and adds among them. By that
// convention the fit is exact; what it writes says so, and predictions follow.
TEST_F(Program, FitCountsTheKernelsOfUnfusedRuntimes) {
  std::ofstream table(folder_ + "/eager.csv");
  table << "network,a_ms\n";
  for (const char* name : {"mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mnv4-conv-small",
                           "mnv4-conv-medium", "mnv4-hybrid-medium"}) {
    table << name << "," << 0.005 * double(lower(find_architecture(name)).ops.size() - 1) << "\n";
  }
  table.close();
  const std::string profile = folder_ + "/eager.yaml";
  const Outcome outcome = run({"fit", folder_ + "/eager.csv", "--terms", "overhead", "--kernels",
                               "unfused", "--out", profile, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("kernels"), "unfused");
  EXPECT_NEAR(json.at("fit").at("op_overhead_us"), 5, 1e-6);
  const Profile eager = load_profile(profile);
  EXPECT_EQ(eager.terms.kernels, KernelConvention::kUnfused);
  const auto described = nlohmann::json::parse(
      run({"describe", "mnv4-conv-large", "--profile", profile, "--json"}).out);
  EXPECT_NEAR(described.at("latency").at("total_ms").get<double>(),
              0.005 * described.at("kernels").at("unfused").get<double>(), 1e-9);
  expect_refused({"fit", folder_ + "/eager.csv", "--kernels", "fuse"}, {"--kernels", "fused"});
}

// MACs alone: whatever the ridge point, it is next to nothing. The end of the search is no figure.
TEST_F(Program, FitSaysWhatIsOnlyABound) {
  std::ofstream table(folder_ + "/macs.csv");
  table << "network,a_ms\n";
  for (const char* name : {"mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mnv4-conv-small",
                           "mnv4-conv-medium", "mnv4-conv-large"}) {
    const double gmacs = network_cost(lower(find_architecture(name))).macs.value / 1e9;
    table << name << "," << 10 * gmacs << "\n";
  }
  table.close();
  const Outcome outcome = run({"fit", folder_ + "/macs.csv", "--terms", "floor"});
  EXPECT_THAT(outcome.out, HasSubstr("ridge point      at most 0.05 ["));
  EXPECT_THAT(outcome.out, HasSubstr("bandwidth        not determined"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("fewer than 6")));
}

// Latencies of a machine for random networks of a space, in milliseconds.
std::string table_of(const Fit& machine, int count, const std::string& path,
                     const std::string& header = "network,a_ms", const std::string& cell = "") {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(4);
  std::normal_distribution<double> noise(0, 0.01);
  std::ofstream table(path);
  table << header << "\n";
  for (int i = 0; i < count; ++i) {
    const Decisions decisions = sample(space, random);
    const NetworkWork work = network_work("", lower(decode(space, decisions)), {});
    for (int decision : decisions) table << decision << ' ';
    table << cell << ',' << 1e3 * machine.predict(work).value * std::exp(noise(random)) << '\n';
  }
  return path;
}

// As pixel3 in public tables: depthwise MACs cost several dense ones, and a fit without that term
// is sure of a wrong ridge point. By default the term is found.
TEST_F(Program, FitChoosesTheTermsThatPredictBest) {
  const std::string table =
      table_of({.ridge_point = {30}, .seconds_per_mac = 1e-11, .depthwise_cost = 8}, 40,
               folder_ + "/depthwise.csv");
  const auto fitted = [&](const std::string& terms) {
    const Outcome outcome = run({"fit", table, "--space", "mobile", "--terms", terms, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  };
  const auto chosen = fitted("auto"), plain = fitted("none");
  EXPECT_EQ(chosen.at("terms"), "depthwise");
  EXPECT_NEAR(chosen.at("fit").at("ridge_point"), 30, 3);
  EXPECT_NEAR(chosen.at("fit").at("depthwise_cost"), 8, 0.8);
  EXPECT_TRUE(chosen.at("ridge_point_is_determined"));
  EXPECT_EQ(chosen.at("alternatives").size(), 8u);
  const auto sure_of = plain.at("ridge_point_interval").get<std::vector<double>>();
  EXPECT_TRUE(sure_of[1] < 30 || sure_of[0] > 30) << sure_of[0] << ' ' << sure_of[1];
  EXPECT_FALSE(plain.at("ridge_point_is_determined"));
  EXPECT_THAT(plain.at("warnings").dump(), HasSubstr("--terms depthwise predicts better"));
  const Outcome by_default = run({"fit", table, "--space", "mobile", "--json"});
  EXPECT_EQ(nlohmann::json::parse(by_default.out), chosen);
}

// The first line says what the ridge point's scale depends on; fewer networks than determine it are
// told which to measure.
TEST_F(Program, FitSaysWhatItAssumesAndWhatToMeasureNext) {
  const std::string table = "experiments/measurements/mobilenetv4-table6.csv";
  const Outcome assumed = run({"fit", table, "--latency", "pixel4_hexagon_ms"});
  EXPECT_THAT(assumed.out.substr(0, assumed.out.find('\n')), HasSubstr("in int8 (assumed"));
  const Outcome given = run({"fit", table, "--latency", "pixel4_hexagon_ms", "--dtype", "int8"});
  EXPECT_THAT(given.out, testing::Not(HasSubstr("assumed")));
  EXPECT_THAT(given.out, HasSubstr("measure next"));
  const Outcome json = run({"fit", table, "--latency", "pixel4_hexagon_ms", "--json"});
  for (const auto& next : nlohmann::json::parse(json.out).at("measure_next")) {
    std::string name = next.at("network");
    name = name.substr(0, name.find(" at "));
    EXPECT_TRUE(is_in_catalog(name)) << name;
    EXPECT_THAT(next.at("share").get<double>(), testing::AllOf(testing::Gt(0), testing::Lt(1)));
  }
  const Outcome in_space = run(
      {"fit", table_of({.ridge_point = {30}, .seconds_per_mac = 1e-11}, 8, folder_ + "/few.csv"),
       "--space", "mobile", "--json"});
  ASSERT_EQ(in_space.exit_code, 0) << in_space.err;
  const SearchSpace space = load_search_space("mobile");
  for (const auto& next : nlohmann::json::parse(in_space.out).at("measure_next")) {
    std::istringstream words(next.at("network").get<std::string>());
    Decisions decisions;
    for (int decision; words >> decision;) decisions.push_back(decision);
    EXPECT_NO_THROW(decode(space, decisions));
  }
}

// Of a batch the weights are read once: a table of batches gives the machine back that made it.
TEST_F(Program, FitsLatenciesOfBatches) {
  std::ofstream table(folder_ + "/batches.csv");
  table << "network,batch,a_ms\n";
  for (const char* name : {"mobilenet-v1", "mobilenet-v2", "mobilenet-v3-large", "mnv4-conv-small",
                           "mnv4-conv-medium", "mobilenet-v2-050", "mnv4-conv-large"}) {
    for (int batch : {1, 64}) {
      double macs = 0;
      for (const OpCost& cost : op_costs(lower(find_architecture(name)))) {
        const double bytes =
            double(cost.weight_elements) + double(batch) * double(cost.activation_elements);
        if (cost.macs.value > 0) macs += std::max(batch * cost.macs.value, 40 * bytes);
      }
      table << name << ',' << batch << ',' << 1e3 * 1e-11 * macs << '\n';
    }
  }
  table.close();
  const Outcome outcome = run({"fit", folder_ + "/batches.csv", "--terms", "none", "--json",
                               "--out", folder_ + "/batches.yaml"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(read(folder_ + "/batches.yaml"), HasSubstr("fitted_batches: [1, 64]\n"));
  for (const auto& [batch, is_guess] : {std::pair("64", false), {"65", true}}) {
    const Outcome described = run({"describe", "mobilenet-v1", "--profile",
                                   folder_ + "/batches.yaml", "--batch", batch, "--json"});
    EXPECT_EQ(nlohmann::json::parse(described.out)["latency"]["is_guess"], is_guess);
  }
  expect_refused({"fit", folder_ + "/batches.csv", "--bytes", "aten", "--out", folder_ + "/a.yaml"},
                 {"bytes are counted by mnv4, not by aten", "leave out --bytes to write a profile",
                  "--out to see this fit alone"});
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("networks").size(), 14u);
  EXPECT_NEAR(json.at("fit").at("ridge_point"), 40, 0.2);
  EXPECT_NEAR(json.at("fit").at("peak_gmacs"), 100, 0.5);
  EXPECT_LT(json.at("held_out").at("roofline").at("mean_error").at("value"), 0.005);
  std::ofstream(folder_ + "/bad.csv") << "network,batch,a_ms\nmobilenet-v1,0,1\n";
  expect_refused({"fit", folder_ + "/bad.csv"}, {"bad.csv:2", "'batch'"});
  std::ofstream(folder_ + "/bad.csv") << "network,threads,a_ms\nmobilenet-v1,4,1\n";
  expect_refused({"fit", folder_ + "/bad.csv"}, {"bad.csv:1", "unknown column 'threads'"});
}

// The table of a space: its networks are rows of decisions.
TEST_F(Program, FitsDecisionsOfASpace) {
  const SearchSpace space = load_search_space("fashion-mnist");
  std::mt19937_64 random(1);
  std::ofstream table(folder_ + "/space.csv");
  table << "network,a_us\n";
  for (int i = 0; i < 20; ++i) {
    const Decisions decisions = sample(space, random);
    for (int decision : decisions) table << decision << ' ';
    table << ',' << latency(lower(decode(space, decisions)), {25}).value * 1e-5 << '\n';
  }
  table.close();
  const Outcome outcome =
      run({"fit", folder_ + "/space.csv", "--space", "fashion-mnist", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_NEAR(json.at("fit").at("ridge_point"), 25, 0.5);
  EXPECT_NEAR(json.at("fit").at("peak_gmacs"), 100, 1);
  std::ofstream(folder_ + "/bad.csv") << "network,a_us\n1 2 x,1\n";
  expect_refused({"fit", folder_ + "/bad.csv", "--space", "fashion-mnist"}, {"bad.csv:2"});
}

}  // namespace
}  // namespace ridgewalk
