#include <algorithm>
#include <cctype>
#include <iostream>
#include <utility>

#include "experiments/commands/commands.h"
#include "experiments/run/interrupt.h"
#include "space/error.h"

namespace {

constexpr const char* kUsage = R"(Usage: ridgewalk COMMAND [--help | ARGUMENTS]

Finds mobile vision networks that are fast on every kind of hardware.

  search    a supernet's coarse, fine and hybrid search under a roofline cost
  rank      how far a supernet's ranking of networks can be trusted
  front     the Pareto-optimal networks of a supernet, at each ridge point and over a range
  compare   search methods and random networks compared over several seeds
  sweep     latency of networks over the ridge point: report.html, sweep.csv, sweep.json
  describe  every operation of a network: shapes, MACs, parameters, bytes, intensity
  train     a network from scratch
  distill   a teacher's soft labels, for students to train on
  evaluate  a network with given weights
  export    a network as ONNX or safetensors
  fit       a device's ridge point and peak from measured latencies
  calibrate this machine's own profile: peaks, bandwidths, what each kind of op takes
  bench     measured latency of networks on this machine
)";

constexpr std::pair<const char*, int (*)(const ridgewalk::Arguments&)> kCommands[] = {
    {"search", ridgewalk::search_command},   {"rank", ridgewalk::rank_command},
    {"front", ridgewalk::front_command},     {"compare", ridgewalk::compare_command},
    {"sweep", ridgewalk::sweep_command},     {"describe", ridgewalk::describe_command},
    {"train", ridgewalk::train_command},     {"evaluate", ridgewalk::evaluate_command},
    {"distill", ridgewalk::distill_command}, {"export", ridgewalk::export_command},
    {"fit", ridgewalk::fit_command},         {"calibrate", ridgewalk::calibrate_command},
    {"bench", ridgewalk::bench_command},
};

int run(const std::string& name, const ridgewalk::Arguments& arguments) {
  for (const auto& [known, command] : kCommands) {
    if (known == name) return command(arguments);
  }
  throw ridgewalk::Error("ridgewalk has no command '" + name + "'; ridgewalk --help lists them");
}

// Prints one line, whatever the message: LibTorch's have a backtrace after the first line.
int fail(const char* what, int code) {
  std::string line(what);
  if (code != 2) line = line.substr(0, line.find('\n'));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return std::iscntrl(c); }, '?');
  std::cerr << "ridgewalk: " << line << '\n';
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const ridgewalk::Arguments words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    (words.empty() ? std::cerr : std::cout) << kUsage;
    return words.empty() ? 2 : 0;
  }
  try {
    return run(words[0], {words.begin() + 1, words.end()});
  } catch (const ridgewalk::Error& error) {
    return fail(error.what(), 2);
  } catch (const ridgewalk::Interrupted& stop) {
    return fail(stop.what(), 130);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  }
}
