// Options as they are declared and read, within this process.
#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"

#include <sched.h>

#include <map>
#include <regex>
#include <sstream>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "space/error.h"

namespace ridgewalk {
namespace {

using testing::HasSubstr;

using Command = int (*)(const Arguments&);
const std::map<std::string, Command> kCommands = {
    {"search", search_command},   {"rank", rank_command},        {"front", front_command},
    {"compare", compare_command}, {"sweep", sweep_command},      {"describe", describe_command},
    {"distill", distill_command}, {"train", train_command},      {"evaluate", evaluate_command},
    {"export", export_command},   {"fit", fit_command},          {"calibrate", calibrate_command},
    {"bench", bench_command},     {"quantize", quantize_command}};

std::string refusal(Command command, const Arguments& arguments) {
  try {
    command(arguments);
  } catch (const Error& error) {
    return error.what();
  }
  return "not refused";
}

struct Option {
  std::string name, about;
};

std::vector<Option> options_in_help(Command command) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(command({"--help"}), 0);
  std::istringstream help(testing::internal::GetCapturedStdout());
  static const std::regex kOption("^  (-[a-z] \\[ )?--([a-z0-9-]+).*");
  std::vector<Option> options;
  for (std::string line; std::getline(help, line);) {
    if (std::smatch parts; std::regex_match(line, parts, kOption)) {
      options.push_back({parts[2], line});
    } else if (!options.empty()) {
      options.back().about += " " + line;  // long ones are wrapped
    }
  }
  static const std::regex kSpaces(" +");
  for (Option& option : options) option.about = std::regex_replace(option.about, kSpaces, " ");
  return options;
}

bool is_number(const Option& option) {
  static const std::regex kRange("(from [-0-9.e]+ to [-0-9.e+]+|at least [0-9]+)");
  return std::regex_search(option.about, kRange);
}

// Whatever an option is for: decimal and within the range that --help states, before any work.
TEST(NumericOptions, OfEveryCommandAreDecimalAndBounded) {
  int numbers = 0;
  for (const auto& [name, command] : kCommands) {
    for (const Option& option : options_in_help(command)) {
      static const std::regex kNumericDefault(".*\\(=[0-9.]+\\).*");
      EXPECT_TRUE(is_number(option) || !std::regex_match(option.about, kNumericDefault))
          << name << " --" << option.name << " has no range";
      if (!is_number(option)) continue;
      ++numbers;
      const std::string dashed = "--" + option.name;
      EXPECT_EQ(refusal(command, {dashed, "010"}),
                "ridgewalk " + name + ": " + dashed + ": '010' has a leading zero; write 10");
      for (const char* text : {"+5", " 5", "5 ", "0x10", "1_0", "nan", "", "five"}) {
        EXPECT_THAT(refusal(command, {dashed + "=" + text}), HasSubstr(dashed)) << text;
      }
      EXPECT_THAT(refusal(command, {dashed, "99999999999999999999"}), HasSubstr(dashed));
      EXPECT_THAT(refusal(command, {dashed + "=-1"}), HasSubstr(dashed + " is -1; it must be"));
    }
  }
  EXPECT_GT(numbers, 80);
}

TEST(NumericOptions, SayTheirRange) {
  EXPECT_EQ(refusal(sweep_command, {"mobilenet-v1", "--points", "2000000000"}),
            "ridgewalk sweep: --points is 2000000000; it must be from 2 to 10000");
  EXPECT_EQ(refusal(sweep_command, {"mobilenet-v1", "--points", "1e3"}),
            "ridgewalk sweep: --points: '1e3' is not a whole number; write it in decimal digits "
            "alone");
  EXPECT_EQ(refusal(export_command, {"--seed", "-1"}),
            "ridgewalk export: --seed is -1; it must be at least 0");
}

TEST(NumericOptions, AreReadAsWritten) {
  CommandLine line("test", "", nullptr, 0);
  line.add_number<int>("count", 1, 10, "", 3);
  line.add_number<double>("share", 0, 1, "");
  line.add_seed("", 7);
  ASSERT_TRUE(line.parse({"--share", "2.5e-1"}));
  EXPECT_EQ(line.get<int>("count"), 3);
  EXPECT_FALSE(line.given("count"));
  EXPECT_EQ(line.find<double>("share"), 0.25);
  EXPECT_EQ(line.seed(), 7u);
  EXPECT_EQ(line.find<int>("none"), std::nullopt);
}

TEST(UnknownNames, GetTheNearestKnownOnes) {
  EXPECT_EQ(refusal(describe_command, {"mobilenet-v1", "--resolutoin", "64"}),
            "ridgewalk describe: unknown option '--resolutoin'; did you mean --resolution? (--help "
            "lists all)");
  EXPECT_THAT(refusal(describe_command, {"mnv4-conv-smal"}),
              HasSubstr("did you mean mnv4-conv-sm"));
  EXPECT_THAT(refusal(describe_command, {"mobilenet-v1", "--profile", "pixle6-cpu"}),
              HasSubstr("did you mean pixel6-cpu"));
  EXPECT_THAT(refusal(describe_command, {"mobilenet-v1", "--dtype", "int9"}),
              HasSubstr("did you mean int8"));
  EXPECT_THAT(refusal(describe_command, {"mobilenet-v1", "--bytes", "out_only"}),
              HasSubstr("did you mean out-only"));
  EXPECT_THAT(refusal(describe_command, {"mobilenet-v1", "--device", "cdua"}),
              HasSubstr("did you mean cuda?"));
  EXPECT_THAT(refusal(sweep_command, {"--members", "moblie:3"}), HasSubstr("did you mean mobile?"));
  EXPECT_THAT(refusal(export_command, {"mobilenet-v1", "--format", "onx", "--out", "x"}),
              HasSubstr("did you mean onnx?"));
}

TEST(Lists, AreDecimalToo) {
  EXPECT_THAT(refusal(sweep_command, {"mobilenet-v1", "--ridge", "0:0500"}), HasSubstr("'0500'"));
  EXPECT_THAT(refusal(sweep_command, {"mobilenet-v1", "--ridge", "0,0x5"}), HasSubstr("'0x5'"));
  EXPECT_THAT(refusal(sweep_command, {"--members", "mobile:010"}), HasSubstr("mobile:010"));
  EXPECT_EQ(parse_ridge_points("0,5,31.2", 2).size(), 3u);
  std::string most = "0";
  for (int i = 1; i < 10'000; ++i) most += "," + std::to_string(i);
  EXPECT_EQ(parse_ridge_points(most, 2).size(), 10'000u);
  EXPECT_THAT(refusal(sweep_command, {"mobilenet-v1", "--ridge", most + ",10000"}),
              HasSubstr("--ridge lists more than 10000 ridge points"));
}

// Of a command with independent pieces of work.
std::pair<int, int> lanes_and_threads(const Arguments& arguments) {
  CommandLine line("test", "", nullptr, 0);
  line.add_lanes_options("pieces");
  line.parse(arguments);
  const int lanes = line.session().compute.lanes;
  return {lanes, at::get_num_threads()};
}

// Leaves this process one core while it lives, as `taskset -c N` does.
class OneCore {
 public:
  OneCore() {
    EXPECT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &before_)) CPU_SET(cpu, &one);
    }
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  }
  ~OneCore() { EXPECT_EQ(sched_setaffinity(0, sizeof before_, &before_), 0); }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;

 private:
  cpu_set_t before_;
};

TEST(Threads, AreAtMostEightForEachCore) {
  EXPECT_THAT(refusal(describe_command, {"mobilenet-v1", "--threads", "1025"}),
              HasSubstr("--threads is 1025; it must be from 1 to 1024"));
  testing::internal::CaptureStderr();
  EXPECT_EQ(checked_threads(1, false), 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");

  const OneCore one_core;
  CommandLine line("test", "", nullptr, 0);
  line.add_session_options();
  ASSERT_TRUE(line.parse({}));
  line.session();
  EXPECT_EQ(at::get_num_threads(), 1);
  EXPECT_EQ(line.session().compute.lanes, 1);
  EXPECT_EQ(lanes_and_threads({}), std::pair(1, 1));
  EXPECT_EQ(lanes_and_threads({"--threads", "2"}), std::pair(1, 2));
  EXPECT_EQ(lanes_and_threads({"--jobs", "3", "--quiet"}), std::pair(3, 1));
  EXPECT_EQ(lanes_and_threads({"--jobs", "2", "--threads", "3"}), std::pair(2, 3));
  EXPECT_THROW(lanes_and_threads({"--jobs", "65"}), Error);
  testing::internal::CaptureStderr();
  EXPECT_EQ(checked_threads(1, false, 2), 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ridgewalk: 2 threads, but this process may use 1 core; --jobs 1 is faster\n");
  testing::internal::CaptureStderr();
  EXPECT_EQ(checked_threads(2, false), 2);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ridgewalk: 2 threads, but this process may use 1 core; --threads 1 is faster\n");
  EXPECT_EQ(checked_threads(64, true), 64);
  EXPECT_THROW(checked_threads(65, true), Error);
}

TEST(Threads, OfLoadersCountForEachJob) {
  const OneCore one_core;
  const auto loaders = [](const Arguments& arguments) {
    CommandLine command("test", "", nullptr, 0);
    command.add_lanes_options("pieces");
    command.add_loader_options();
    command.parse(arguments);
    const Session session = command.session();
    // Batches of 10 images with 300 numbers of four bytes each.
    return std::pair(*session.compute.loader_threads, loader_bytes(10, 300, session));
  };
  EXPECT_EQ(loaders({"--jobs", "1", "--loader-threads", "0"}), std::pair(0, 12e3));
  EXPECT_EQ(loaders({"--jobs", "1", "--loader-threads", "64"}), std::pair(64, 65 * 12e3));
  const auto refused = [&](const Arguments& arguments) {
    try {
      loaders(arguments);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refused({"--jobs", "1", "--loader-threads", "65"}),
            "65 threads: this process may use 1 core; give at most --loader-threads 64");
  // Each job has its own.
  EXPECT_EQ(refused({"--jobs", "2", "--quiet", "--loader-threads", "33"}),
            "66 threads: this process may use 1 core; give at most --loader-threads 32");
}

}  // namespace
}  // namespace ridgewalk
