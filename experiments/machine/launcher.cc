#include "experiments/machine/launcher.h"

#include <unistd.h>

#include <algorithm>

#include "space/error.h"
#include "space/number.h"

namespace ridgewalk {
namespace {

constexpr int kMostProcesses = 65536;
constexpr int kFirstPort = 20000, kPorts = 10000;  // below those that Linux gives out itself

const std::string* find(const Variables& variables, const std::string& name) {
  const auto found = variables.find(name);
  return found == variables.end() || found->second.empty() ? nullptr : &found->second;
}

int number(const Variables& variables, const std::string& name, int low, int high) {
  const std::string* text = find(variables, name);
  if (text == nullptr) {
    throw Error("the environment lacks " + name +
                ", but this looks like one of several processes; start all by torchrun, srun or "
                "mpirun, or export " +
                name);
  }
  const auto value = parse_whole(*text);
  if (!value || *value < low || *value > high) {
    throw Error("the environment's " + name + " is '" + *text +
                "'; it must be a whole number from " + std::to_string(low) + " to " +
                std::to_string(high));
  }
  return int(*value);
}

// The last nine digits of a launcher's variable, 0 without one; the port of a job is made of the
// last four.
int digits(const Variables& variables, const std::string& name) {
  const std::string* text = find(variables, name);
  int64_t value = 0;
  for (size_t i = 0; text != nullptr && i < text->size(); ++i) {
    const char c = (*text)[i];
    if (c >= '0' && c <= '9') value = (value * 10 + (c - '0')) % 1'000'000'000;
  }
  return int(value);
}

// "node[03-05,9],other" -> "node03".
std::string first_node(const std::string& list) {
  const size_t end = list.find_first_of("[,");
  if (end == std::string::npos || list[end] == ',') return list.substr(0, end);
  const size_t close = list.find(']', end);
  if (close == std::string::npos) return "";
  const size_t number_end = list.find_first_of("-,]", end);
  const size_t suffix_end = std::min(list.size(), list.find_first_of("[,", close));
  return list.substr(0, end) + list.substr(end + 1, number_end - end - 1) +
         list.substr(close + 1, suffix_end - close - 1);
}

// The names of a launcher's variables.
struct Names {
  const char *rank, *size, *on_this_machine, *number_here;
};
constexpr Names kTorchrun = {"RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_RANK"};
constexpr Names kOpenMpi = {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                            "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"};
constexpr Names kSlurm = {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_TASKS_PER_NODE",
                          "SLURM_LOCALID"};

// Nothing where no launcher has started this process. A script of Slurm's has SLURM_PROCID, too,
// but is not a step.
const Names* launcher(const Variables& variables) {
  const auto has = [&](const char* name) { return find(variables, name) != nullptr; };
  if (has(kTorchrun.rank) || has(kTorchrun.size)) return &kTorchrun;
  if (has(kOpenMpi.rank) || has(kOpenMpi.size)) return &kOpenMpi;
  if (has(kSlurm.rank) && has("SLURM_STEP_ID")) return &kSlurm;
  return nullptr;
}

std::string host_of(const Variables& variables, const Names& names, const Launch& launch) {
  if (const std::string* host = find(variables, "MASTER_ADDR")) return *host;
  if (&names == &kOpenMpi && launch.on_this_machine == launch.member.size) return "127.0.0.1";
  for (const char* list : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}) {
    const std::string* nodes = &names == &kSlurm ? find(variables, list) : nullptr;
    const std::string node = nodes != nullptr ? first_node(*nodes) : "";
    if (!node.empty()) return node;
  }
  throw Error(
      "the environment lacks MASTER_ADDR; export the address of the machine of the first of " +
      std::to_string(launch.member.size) + " processes, and a free MASTER_PORT");
}

int port_of(const Variables& variables, const Names& names) {
  if (find(variables, "MASTER_PORT") != nullptr || &names == &kTorchrun) {
    const std::string* agent = find(variables, "TORCHELASTIC_USE_AGENT_STORE");
    return number(variables, "MASTER_PORT", 1, 65534) + (agent != nullptr && *agent == "True");
  }
  const int job = &names == &kSlurm
                      ? digits(variables, "SLURM_JOB_ID") + digits(variables, "SLURM_STEP_ID")
                      : digits(variables, "PMIX_NAMESPACE");
  return kFirstPort + job % kPorts;
}

}  // namespace

Variables environment_variables() {
  Variables variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

std::optional<Launch> launch_of(const Variables& variables) {
  const Names* names = launcher(variables);
  if (names == nullptr) return std::nullopt;
  Launch launch;
  GroupMember& member = launch.member;
  // Of a step, which may have fewer tasks than the job.
  const bool has_step = names == &kSlurm && find(variables, "SLURM_STEP_NUM_TASKS") != nullptr;
  member.size =
      number(variables, has_step ? "SLURM_STEP_NUM_TASKS" : names->size, 1, kMostProcesses);
  member.rank = number(variables, names->rank, 0, member.size - 1);
  if (member.size == 1) return std::nullopt;
  if (find(variables, names->on_this_machine) != nullptr) {
    // Slurm's is a list, "2(x3),1"; its first number is that of the fullest nodes.
    Variables first{{names->on_this_machine, variables.at(names->on_this_machine)}};
    std::string& text = first.begin()->second;
    text = text.substr(0, text.find_first_of("(,"));
    launch.on_this_machine = number(first, names->on_this_machine, 1, member.size);
    if (launch.on_this_machine == 1) launch.number_here = 0;
  }
  if (find(variables, names->number_here) != nullptr) {
    launch.number_here = number(variables, names->number_here, 0, member.size - 1);
  }
  member.host = host_of(variables, *names, launch);
  member.port = port_of(variables, *names);
  return launch;
}

}  // namespace ridgewalk
