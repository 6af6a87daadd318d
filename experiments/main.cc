#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <new>
#include <utility>

#include "experiments/commands/commands.h"
#include "experiments/run/group_run.h"
#include "experiments/run/interrupt.h"
#include "space/error.h"
#include "space/suggestion.h"

namespace {

constexpr const char* kUsage = R"(Usage: ridgewalk COMMAND [--help | ARGUMENTS]
       ridgewalk --version

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
  classify  pictures by a network with given weights
  quantize  a trained network to int8
  export    a network as ONNX or safetensors
  fit       a device's ridge point and peak from measured latencies
  calibrate this machine's own profile: peaks, bandwidths, what each kind of op takes
  bench     measured latency of networks on this machine
)";

constexpr std::pair<const char*, int (*)(const ridgewalk::Arguments&)> kCommands[] = {
    {"search", ridgewalk::search_command},     {"rank", ridgewalk::rank_command},
    {"front", ridgewalk::front_command},       {"compare", ridgewalk::compare_command},
    {"sweep", ridgewalk::sweep_command},       {"describe", ridgewalk::describe_command},
    {"train", ridgewalk::train_command},       {"evaluate", ridgewalk::evaluate_command},
    {"distill", ridgewalk::distill_command},   {"classify", ridgewalk::classify_command},
    {"quantize", ridgewalk::quantize_command}, {"export", ridgewalk::export_command},
    {"fit", ridgewalk::fit_command},           {"calibrate", ridgewalk::calibrate_command},
    {"bench", ridgewalk::bench_command},
};

int run(const std::string& name, const ridgewalk::Arguments& arguments) {
  std::vector<std::string> names;
  for (const auto& [known, command] : kCommands) {
    if (known == name) return command(arguments);
    names.emplace_back(known);
  }
  throw ridgewalk::Error("ridgewalk has no command '" + name + "'; " +
                         ridgewalk::suggestion(name, names) + " (ridgewalk --help lists all)");
}

// Prints one line, whatever the message: LibTorch's have a backtrace after the first line.
int fail(std::string line, int code) {
  if (code != 2) line = line.substr(0, line.find('\n'));
  std::replace_if(line.begin(), line.end(), [](unsigned char c) { return std::iscntrl(c); }, '?');
  std::cerr << "ridgewalk: " << line << '\n';
  return code;
}

int fail_for_memory() {
  return fail("out of memory; choose a smaller batch, resolution or network, or free some memory",
              1);
}

// The exit code, after one line about what went wrong.
int guarded(const ridgewalk::Arguments& words) {
  try {
    return run(words[0], {words.begin() + 1, words.end()});
  } catch (const ridgewalk::Error& error) {
    return fail(error.what(), 2);
  } catch (const ridgewalk::EndsSilently& end) {
    return end.exit_code();
  } catch (const ridgewalk::Interrupted& stop) {
    return fail(stop.what(), 130);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(error.path1().string() + ": cannot be used (" + error.code().message() +
                    "); give another path",
                2);
  } catch (const std::bad_alloc&) {
    return fail_for_memory();
  } catch (const std::exception& error) {
    const std::string what = error.what();  // LibTorch 1.13 has no exception of its own for this
    return what.find("can't allocate memory") == std::string::npos &&
                   what.find("out of memory") == std::string::npos
               ? fail(what, 1)
               : fail_for_memory();
  }
}

// A closed descriptor would be given to the first file that is opened, and what is printed would be
// written into that file.
void occupy_closed_descriptors() {
  for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1) continue;
    // Of stdout it should be noticed that it cannot be written.
    if (open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY) != descriptor) return;
  }
}

// What a full disk or a closed pipe refuses may only show when the buffer is written.
int flushed(int code) {
  std::cout.flush();
  const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (is_written || code != 0) return code;
  return fail(std::string("the output could not be written (") + std::strerror(errno) + ")", 1);
}

}  // namespace

int main(int argc, char** argv) {
  occupy_closed_descriptors();
  const ridgewalk::Arguments words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    (words.empty() ? std::cerr : std::cout) << kUsage;
    return flushed(words.empty() ? 2 : 0);
  }
  if (words[0] == "--version") {
    ridgewalk::print_version();
    return flushed(0);
  }
  return flushed(guarded(words));
}
