// experiments/ten-networks on tables of a machine that is known.
#include <random>

#include "roofline/cost.h"
#include "space/lowering.h"
#include "tests/experiments/commands/program.h"

namespace ridgewalk {
namespace {

// FBNet (arXiv 1812.03443, tables 1 and 2) on CIFAR-100, as HELP has it.
Architecture fbnet(const std::vector<int>& code) {
  struct Stage {
    int blocks, width, stride;
  };
  constexpr Stage kStages[] = {{1, 16, 1},  {4, 24, 1},  {4, 32, 2}, {4, 64, 2},
                               {4, 112, 1}, {4, 184, 2}, {1, 352, 1}};
  Architecture network{.name = "fbnet", .resolution = 32, .channels = 3, .classes = 100};
  network.stem = {.kernel = 3, .stride = 1, .width = 16};
  network.head = {.width = 1504, .features = 0};
  network.stages = {{}};
  int input = 16;
  size_t next = 0;
  for (const auto& [blocks, width, first] : kStages) {
    for (int b = 0; b < blocks; ++b) {
      const int stride = b == 0 ? first : 1, choice = code[next++];
      const int expansions[] = {1, 1, 3, 6};
      if (choice < 8) {
        network.stages[0].push_back(InvertedResidual{.kernel = choice < 4 ? 3 : 5,
                                                     .stride = stride,
                                                     .expanded = input * expansions[choice % 4],
                                                     .width = width,
                                                     .groups = choice % 4 == 1 ? 2 : 1});
      } else if (stride != 1 || input != width) {
        network.stages[0].push_back(Conv{.kernel = 1, .stride = stride, .width = width});
      }
      input = width;
    }
  }
  return network;
}

// 10 GMACs a second, ridge point 4 in fp32, and a floor of 2 ms for each image.
double latency_ms(const Architecture& network, int batch) {
  double macs = 0;
  for (const OpCost& cost : op_costs(lower(network))) {
    const double bytes =
        4 * (double(cost.weight_elements) + double(batch) * double(cost.activation_elements));
    if (cost.macs.value > 0) macs += std::max(batch * cost.macs.value, 4 * bytes);
  }
  return 1e3 * macs / 10e9 + 2 * batch;
}

TEST_F(Program, TenNetworksGiveAKnownMachineBack) {
  if (std::system("python3 -c 'import pickle' 2>/dev/null") != 0) GTEST_SKIP() << "no python3";
  const std::string help = folder_ + "/help";
  fs::create_directories(help + "/data/fbnet/latency");
  std::mt19937_64 random(6);
  nlohmann::json codes, single, batch;
  for (int n = 0; n < 40; ++n) {
    std::vector<int> code;
    for (int b = 0; b < 22; ++b) code.push_back(int(random() % 9));
    codes.push_back(code);
    single.push_back(latency_ms(fbnet(code), 1));
    batch.push_back(latency_ms(fbnet(code), 32));
  }
  // As torch.save() wrote lists before its archives.
  const std::map<std::string, nlohmann::json> files{
      {"arch", codes}, {"latency/raspi4", single}, {"latency/1080ti_32", batch}};
  for (const auto& [name, list] : files) {
    const std::string path = help + "/data/fbnet/" + name;
    std::ofstream(path + ".json") << list.dump();
    const std::string save =
        "python3 -c 'import json, pickle, sys\n"
        "with open(sys.argv[1] + \".pt\", \"wb\") as file:\n"
        "    for part in (0x1950a86a20f9469cfc6c, 1001, {}, json.load(open(sys.argv[1] + "
        "\".json\"))):\n"
        "        pickle.dump(part, file, protocol=2)' '" +
        path + "'";
    ASSERT_EQ(std::system(save.c_str()), 0);
  }
  const std::string command = "experiments/ten-networks '" + help + "' --program '" +
                              RIDGEWALK_PROGRAM + "' --work '" + folder_ +
                              "/ten' --draws 2 --tested 10 --jobs 2 > '" + folder_ + "/ten.txt'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::istringstream lines(read(folder_ + "/ten.txt"));
  int tables = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| Raspberry Pi 4") && !line.starts_with("| GPUs, batch 32")) continue;
    std::vector<double> cells;
    std::istringstream row(line.substr(line.find('|', 1) + 1));
    for (std::string cell; std::getline(row, cell, '|');) {
      if (cell.find_first_of("0123456789") != std::string::npos) cells.push_back(std::stod(cell));
    }
    ASSERT_EQ(cells.size(), 8u) << line;
    EXPECT_EQ(cells[0], 1);  // table
    const double none = cells[1], floor = cells[3], chosen = cells[6], best = cells[7];
    EXPECT_LE(floor, 0.2) << line;
    EXPECT_GT(none, 1) << line;
    EXPECT_LE(chosen, 0.5) << line;
    EXPECT_LE(best, floor);
    ++tables;
  }
  EXPECT_EQ(tables, 2) << read(folder_ + "/ten.txt");
}

}  // namespace
}  // namespace ridgewalk
