// Command lines, one word a line, the first one that of a command. Every command reads its options
// and prints its help; `describe`, which needs no files, runs.
#include "experiments/commands/command_line.h"

#include <iostream>

#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

constexpr std::pair<std::string_view, int (*)(const Arguments&)> kCommands[] = {
    {"search", search_command},       {"rank", rank_command},
    {"front", front_command},         {"compare", compare_command},
    {"sweep", sweep_command},         {"describe", describe_command},
    {"train", train_command},         {"evaluate", evaluate_command},
    {"distill", distill_command},     {"classify", classify_command},
    {"export", export_command},       {"fit", fit_command},
    {"calibrate", calibrate_command}, {"bench", bench_command}};

// Nothing is printed.
void silence() {
  std::cout.rdbuf(nullptr);
  std::cerr.rdbuf(nullptr);
  require(std::freopen("/dev/null", "w", stdout) != nullptr, "stdout can be silenced");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool is_silent = (silence(), true);
  require(is_silent, "nothing is printed");
  std::string lines = text_of(data, size);
  const std::string name = take_until('\n', lines);
  Arguments words;
  while (!lines.empty()) words.push_back(take_until('\n', lines));
  for (const auto& [known, command] : kCommands) {
    if (known != name) continue;
    Arguments with_help = words;
    with_help.insert(with_help.begin(), "--help");
    refuse_or_accept([&] { command(with_help); });
    if (known == "describe") refuse_or_accept([&] { command(words); });
  }
  for (const std::string& word : words) {
    refuse_or_accept([&] { parse_ridge_points(word, 3); });
    command_text(name, words);
  }
  return 0;
}
