#include "experiments/evidence/truth.h"

#include "roofline/cost.h"
#include "space/csv.h"
#include "space/file.h"
#include "space/lowering.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSample = "tests/data/nas_bench_macro_sample.csv";

class TruthTable : public FolderTest {
 protected:
  Truth read(const std::string& table, const std::string& accuracy = "") {
    return read_truth(write("truth.csv", table), {}, accuracy,
                      load_search_space("fashion-mnist-small"));
  }
  std::string refused(const std::string& table) {
    return error_of([&] { read(table); });
  }
  // Three members of the space, by their decisions, under a header with three cells.
  static std::string rows(const std::vector<std::string>& accuracies) {
    const SearchSpace space = load_search_space("fashion-mnist-small");
    std::mt19937_64 random(1);
    std::string text;
    for (const std::string& accuracy : accuracies) {
      for (int decision : sample(space, random)) text += std::to_string(decision) + " ";
      text += "," + accuracy + "\n";
    }
    return text;
  }
};

NetworkCode nas_bench_macro() {
  return load_network_code("experiments/configs/truth/nas-bench-macro.yaml",
                           load_search_space("experiments/configs/spaces/nas-bench-macro.yaml"));
}

// The table's own parameters and multiply-accumulates, which its authors counted.
TEST(NasBenchMacro, IsLoweredExactly) {
  const SearchSpace space = load_search_space("experiments/configs/spaces/nas-bench-macro.yaml");
  const Truth truth = read_truth(kSample, nas_bench_macro(), "", space);
  EXPECT_EQ(truth.rows, 75u);
  ASSERT_EQ(truth.networks.size(), 72u);
  EXPECT_THAT(truth.left_out, HasSubstr("leaves the first block of a stage out"));
  const CsvTable table = csv_from_text(read_file(kSample), kSample);
  ASSERT_THAT(table.columns, ElementsAre("architecture", "test_accuracy_1", "test_accuracy_2",
                                         "test_accuracy_3", "parameters", "flops"));
  for (size_t i = 0; i < truth.networks.size(); ++i) {
    const std::vector<std::string>& cells = table.rows[i].cells;
    const NetworkCost cost = network_cost(lower(truth.networks[i].architecture));
    EXPECT_EQ(std::to_string(cost.parameters), cells[4]) << cells[0];
    EXPECT_EQ(std::to_string(int64_t(cost.macs.value)), cells[5]) << cells[0];
    ASSERT_EQ(truth.networks[i].trainings.size(), 3u);
    EXPECT_NEAR(truth.networks[i].trainings[2].test.top1, std::stod(cells[3]) / 100, 1e-12);
  }
}

TEST(NetworkCode, SaysWhichBlocksAreThere) {
  const SearchSpace space = load_search_space("experiments/configs/spaces/nas-bench-macro.yaml");
  const Architecture network = decode(space, decisions_of("20101210", nas_bench_macro(), space));
  ASSERT_EQ(network.stages[0].size(), 1u);
  const Uib& first = std::get<Uib>(network.stages[0][0]);
  EXPECT_EQ(first.kernel2, 5);
  EXPECT_EQ(first.expanded, 192);
  ASSERT_EQ(network.stages[1].size(), 2u);
  EXPECT_EQ(std::get<Uib>(network.stages[1][1]).kernel2, 3);
  ASSERT_EQ(network.stages[2].size(), 2u);
  // A layer is left out wherever it stands.
  EXPECT_EQ(decisions_of("20110210", nas_bench_macro(), space),
            decisions_of("20101201", nas_bench_macro(), space));
  EXPECT_THAT(error_of([&] { decisions_of("0110100", nas_bench_macro(), space); }),
              HasSubstr("7 symbols for 8 places"));
  EXPECT_THAT(error_of([&] { decisions_of("10103100", nas_bench_macro(), space); }),
              HasSubstr("does not say what the symbol '3' stands for"));
}

// A code of widths: the symbols are the options themselves.
TEST(NetworkCode, NamesWidths) {
  SearchSpace space = load_search_space("experiments/configs/spaces/nas-bench-macro.yaml");
  for (StageSpace& stage : space.stages) {
    stage.depth = {1};
    stage.blocks.resize(1);
    stage.blocks[0].expansion = {3};
    stage.blocks[0].kernel2 = {3};
    stage.width = {64, 128, 256};
  }
  NetworkCode code{.separator = ":", .places = {}, .symbols = {}};
  code.places = {"stages.0.width", "stages.1.width", "stages.2.width"};
  const Architecture network = decode(space, decisions_of("128:64:256", code, space));
  EXPECT_EQ(output_width(network.stages[0][0], 0), 128);
  EXPECT_EQ(output_width(network.stages[1][0], 0), 64);
  EXPECT_THAT(error_of([&] { decisions_of("128:64:100", code, space); }),
              HasSubstr("'100' is not among the space's options of 'stages.2.width'"));
  code.places.pop_back();
  EXPECT_THAT(error_of([&] { decisions_of("128:64", code, space); }),
              HasSubstr("no place of the code decides 'stages.2.width'"));
}

TEST_F(TruthTable, TakesSharesAndPercent) {
  const Truth shares = read("network,top1\n" + rows({"0.5", "0.25", "1"}));
  EXPECT_EQ(shares.networks[1].trainings.at(0).test.top1, 0.25);
  const Truth percent = read("network,top1\n" + rows({"50", "2.5", "100"}));
  EXPECT_EQ(percent.networks[1].trainings.at(0).test.top1, 0.025);
  EXPECT_THAT(refused("network,top1\n" + rows({"50", "0.25", "100"})),
              HasSubstr("truth.csv:3: 'top1' is 0.25 where others are percent"));
}

TEST_F(TruthTable, ChoosesAmongAccuracies) {
  const std::string table =
      "network,validation_accuracy,test_accuracy\n" + rows({"10,20", "11,21", "12,22"});
  EXPECT_THAT(refused(table), HasSubstr("several accuracies; choose one with --accuracy: "
                                        "test_accuracy validation_accuracy"));
  EXPECT_EQ(read(table, "test").networks[0].trainings.at(0).test.top1, 0.2);
}

// A number is that of a training where it is a word of its own.
TEST_F(TruthTable, TakesNoOtherMeasureForAnotherTraining) {
  const std::string tops =
      "network,accuracy_top1,accuracy_top5\n" + rows({"10,20", "11,21", "12,22"});
  EXPECT_THAT(refused(tops), HasSubstr("--accuracy: accuracy_top1 accuracy_top5"));
  EXPECT_EQ(read(tops, "accuracy_top5").networks[0].trainings.size(), 1u);
  EXPECT_EQ(read(tops, "accuracy_top5").networks[0].trainings[0].test.top1, 0.2);
  const std::string cifar =
      "network,accuracy_cifar10,accuracy_cifar100\n" + rows({"10,20", "11,21", "12,22"});
  EXPECT_EQ(read(cifar, "accuracy_cifar10").networks[0].trainings.size(), 1u);
  const std::string spread =
      "network,test_accuracy,test_accuracy_std\n" + rows({"10,1", "11,1", "12,1"});
  EXPECT_THAT(refused(spread), HasSubstr("--accuracy: test_accuracy test_accuracy_std"));
  EXPECT_EQ(read(spread, "test_accuracy").networks[0].trainings.size(), 1u);
  const std::string seeds =
      "network,accuracy_seed1,accuracy_seed2\n" + rows({"10,20", "11,21", "12,22"});
  EXPECT_EQ(read(seeds, "accuracy_seed").networks[0].trainings.size(), 2u);
  EXPECT_EQ(read(seeds, "accuracy_seed2").networks[0].trainings[0].test.top1, 0.2);
}

// What no network of the space has is a mistake of the code, not networks to leave out.
TEST_F(TruthTable, RefusesACodeThatFitsNoNetwork) {
  const SearchSpace space = load_search_space("experiments/configs/spaces/nas-bench-macro.yaml");
  const auto refusal = [&](const std::string& places, const std::string& symbols) {
    const std::string path = write("code.yaml", "places: [" + places + "]\nsymbols:\n" + symbols);
    return error_of([&] { load_network_code(path, space); });
  };
  const std::string plain = "  \"1\": {expansion: 3, kernel2: 3}\n";
  EXPECT_THAT(refusal("stages.0.0, stages.0.1", "  \"1\": {expansion: 3, kernal2: 3}\n"),
              HasSubstr("code.yaml:3: no block among the places has a choice 'kernal2'"));
  EXPECT_THAT(refusal("stages.0.0", "  \"1\": {expansion: 4}\n"),
              HasSubstr("code.yaml:3: '4' is an option of 'expansion' in no block"));
  EXPECT_THAT(refusal("stages.0.0, stages.0.7", plain),
              HasSubstr("code.yaml:1: the space has no block and no choice 'stages.0.7'"));
  EXPECT_THAT(refusal("stages.0", plain), HasSubstr("no block and no choice 'stages.0'"));
  EXPECT_THAT(refusal("stages.0.1, stages.0.0", plain),
              HasSubstr("'stages.0.1' stands where 'stages.0.0' belongs"));
  EXPECT_THAT(refusal("stages.0.0, stages.0.0", plain), HasSubstr("is a place already"));
  EXPECT_THAT(refusal("stages.0.0", plain + plain), HasSubstr("code.yaml:4: the symbol '1' is"));
  EXPECT_THAT(refusal("stages.0.depth", "  a: 7\n"), HasSubstr("'7' is an option of no choice"));
}

TEST_F(TruthTable, RefusesInALine) {
  EXPECT_THAT(refused(""), HasSubstr("truth.csv:1: empty"));
  EXPECT_THAT(refused("name,top1\n"), HasSubstr("no column is named 'network'"));
  EXPECT_THAT(refused("network,loss\n"), HasSubstr("'accuracy' or 'top1'"));
  EXPECT_THAT(refused("network,top1\n" + rows({"90", "x", "80"})),
              HasSubstr("truth.csv:3: 'top1' must be an accuracy from 0 to 100, not 'x'"));
  EXPECT_THAT(refused("network,top1\n" + rows({"90", "100.5", "80"})), HasSubstr("not '100.5'"));
  EXPECT_THAT(refused("network,top1\n" + rows({"90", "80"})), HasSubstr("fewer than 3 networks"));
  EXPECT_THAT(refused("network,top1,parameters\n" + rows({"90,1", "80,1", "70,1"})),
              HasSubstr("'parameters' is 1, but the network has"));
}

}  // namespace
}  // namespace ridgewalk
