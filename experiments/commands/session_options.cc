// How a command computes: threads, lanes, device, precision, loaders, and other processes.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/machine/precision.h"
#include "experiments/machine/resources.h"
#include "experiments/run/counted.h"
#include "experiments/run/fingerprint.h"
#include "experiments/run/group_run.h"
#include "experiments/run/interrupt.h"
#include "space/error.h"
#include "supernet/network/device.h"
#include "supernet/network/memory.h"
#include "supernet/training/lanes.h"

namespace ridgewalk {

namespace po = boost::program_options;

namespace {

constexpr int kMostThreads = 1024;
// More threads than this that are also more than eight per core are taken for a mistake.
constexpr int kAlwaysAllowedThreads = 64;

std::string available_cores(int cores) { return "this process may use " + counted(cores, "core"); }

// For an option whose unit is `of_each` threads, when it asks for `all`.
void require_few_threads(int all, const std::string& option, int of_each) {
  const int cores = usable_cores();
  const int most = std::max(kAlwaysAllowedThreads, 8 * cores);
  if (all <= most) return;
  throw Error(fmt::format("{} threads: {}; give at most {} {}", all, available_cores(cores), option,
                          std::max(1, most / of_each)));
}

}  // namespace

void CommandLine::add_session_options(const char* threads, const char* precision) {
  const std::string precision_text =
      std::string(takes_int8_ ? "auto, fp32, bf16 or int8" : "auto, fp32 or bf16") +
      " (default: " + precision + ")";
  add_number<int>("threads", 1, kMostThreads,
                  std::string("CPU threads (default: ") + threads + ")");
  add()("device", po::value<std::string>()->default_value("cpu"), "cpu or cuda");
  add()("precision", po::value<std::string>(), precision_text.c_str());
}

void CommandLine::add_lanes_options(const std::string& pieces) {
  add_number<int>("jobs", 1, kMostThreads,
                  pieces +
                      " at a time, which changes nothing in the results (default: as many as "
                      "there are cores)");
  add_session_options("1 for each job");
}

void CommandLine::add_loader_options() {
  add_number<int>("loader-threads", 0, kMostThreads,
                  "threads that prepare batches ahead (default: as many as --threads for image "
                  "files and rand_augment, else 0)");
}

void CommandLine::add_group_options() {
  add_number<int>(
      "group-timeout", 1, 86400,
      "seconds that a step waits for another process (of torchrun, srun or mpirun) that "
      "does not answer",
      60);
}

ProcessGroup* CommandLine::join_group() {
  launch_ = launch_of(environment_variables());
  if (launch_) {
    if (launch_->member.rank == 0 && !is_quiet()) {
      std::cerr << fmt::format("ridgewalk: waits for {} processes at {}:{}, {} s at most\n",
                               launch_->member.size - 1, launch_->member.host, launch_->member.port,
                               ProcessGroup::kStart.count());
    }
    group_ = std::make_shared<ProcessGroup>(launch_->member,
                                            std::chrono::seconds(get<int>("group-timeout")));
  }
  return group_.get();
}

// Where a launcher has not bound each process to cores of its own.
int CommandLine::usable_cores() const {
  const int cores = ridgewalk::usable_cores();
  const bool is_bound = bound_cores() < int(std::thread::hardware_concurrency());
  return launch_ && !is_bound ? std::max(1, cores / launch_->on_this_machine) : cores;
}

void CommandLine::add_workers_options(const std::string& trials) {
  add()("workers", po::value<std::string>(),
        ("folder that every worker sees: any number of processes, on any number of machines of one "
         "kind, that run this very command share " +
         trials + ", with the same results")
            .c_str());
  add_number<double>("lease", 0.1, 86400,
                     "seconds without a sign of life after which a worker's trial goes to another",
                     60);
}

std::optional<Workers> CommandLine::workers() const {
  if (!has("workers")) {
    if (given("lease")) throw Error("--lease goes with --workers");
    return std::nullopt;
  }
  const auto folder = get<std::string>("workers");
  if (folder.empty()) throw Error("--workers is empty; give a folder that every worker sees");
  return Workers{folder, get<double>("lease")};
}

// Returns the number of lanes.
int CommandLine::set_threads_and_lanes(int threads) const {
  const bool in_lanes = options_.find_nothrow("jobs", false) != nullptr;
  if (threads == 0) threads = in_lanes ? 1 : usable_cores();
  const int lanes =
      in_lanes ? find<int>("jobs").value_or(std::max(1, usable_cores() / threads)) : 1;
  checked_threads(threads, is_quiet(), lanes);
  set_threads(threads);
  return lanes;
}

DataType CommandLine::precision(const std::string& name, torch::Device device) const {
  if (takes_int8_ && name == to_string(DataType::kInt8)) {
    if (!device.is_cpu()) throw Error("int8 runs on the CPU");
    return DataType::kInt8;
  }
  const DataType named = precision_named(name, device);
  if (name != "auto" || named == DataType::kFp32 || !device.is_cpu()) return named;
  if (has("workers")) {
    const std::string inputs = WorkFolder::inputs_of(get<std::string>("workers"));
    if (const auto of_trials = precision_of(inputs, device)) return *of_trials;
  }
  if ((has("resume") || has("workers")) && has("out")) {
    if (const auto of_run = precision_of_run(get<std::string>("out"), device)) return *of_run;
  }
  const auto faster = [&] { return faster_precision(precision_file(), is_quiet()); };
  if (!has("workers")) return faster();
  // Workers that start together may each measure something else.
  return precision_named(WorkFolder::settled(get<std::string>("workers"), "precision",
                                             [&] { return std::string(to_string(faster())); }),
                         device);
}

Session CommandLine::session(int threads, const std::string& precision) const {
  keep_freed_memory();
  if (has("threads")) threads = get<int>("threads");
  Session session{.compute = {}, .quiet = is_quiet()};
  session.compute.group = group_;
  session.compute.lanes = set_threads_and_lanes(threads);
  session.compute.device = at_option("--device", [&] {
    const std::string name = get<std::string>("device");
    if (!launch_) return device_named(name);
    if (name == "cuda" && !launch_->number_here) {
      throw Error("nothing says which process of its machine this is; export LOCAL_RANK, from 0");
    }
    return device_named(name, launch_->number_here);
  });
  if (!session.compute.device.is_cpu()) session.compute.lanes = 1;
  if (group_ && group_->carrier(session.compute.device) != session.compute.device && !is_quiet()) {
    std::cerr << "ridgewalk: built without NCCL; gradients go from GPU to GPU through the CPU's "
                 "memory\n";
  }
  session.compute.precision = at_option("--precision", [&] {
    const std::string name = has("precision") ? get<std::string>("precision") : precision;
    // What is faster on the first machine, or what its run has.
    if (group_ && name == "auto") {
      const DataType own =
          group_->is_first() ? this->precision(name, session.compute.device) : DataType::kFp32;
      return DataType(group_->from_first(int64_t(own), true));
    }
    return this->precision(name, session.compute.device);
  });
  session.compute.loader_threads = find<int>("loader-threads");
  if (const auto loaders = session.compute.loader_threads) {
    require_few_threads(*loaders * session.compute.lanes, "--loader-threads",
                        session.compute.lanes);
  }
  return session;
}

int run_in_group(CommandLine& line, const Arguments& arguments, const std::function<int()>& run) {
  if (!line.parse(arguments)) return 0;
  ProcessGroup* const group = line.join_group();
  catch_interrupts();
  return as_member(group, run);
}

int checked_threads(int threads, bool quiet, int jobs) {
  const int cores = usable_cores(), all = threads * jobs;
  const char* option = jobs > 1 ? "--jobs" : "--threads";
  const int of_each = jobs > 1 ? threads : 1;
  require_few_threads(all, option, of_each);
  if (all > cores && !quiet) {
    std::cerr << fmt::format("ridgewalk: {} threads, but {}; {} {} is faster\n", all,
                             available_cores(cores), option, std::max(1, cores / of_each));
  }
  return threads;
}

}  // namespace ridgewalk
