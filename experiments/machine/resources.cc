#include "experiments/machine/resources.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr double kGib = 1 << 30;

// Where the kernel shows the control group of this process and those that contain it, in version 2
// and in the version 1 hierarchy of a controller. In a container the path may be the host's, and
// only its root exists.
std::vector<std::string> group_folders(const std::string& root, const std::string& controller) {
  std::vector<std::string> folders;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool has_controller =
        ("," + controllers + ",").find("," + controller + ",") != std::string::npos;
    if (!controllers.empty() && !has_controller) continue;
    const std::string mount =
        root + "/sys/fs/cgroup" + (controllers.empty() ? "" : "/" + controllers);
    for (std::string path = line.substr(second + 1);;) {
      folders.push_back(mount + (path == "/" ? "" : path));
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return folders;
}

// The first number of a file; nothing for a file that is missing or says "max".
std::optional<double> number_in(const std::string& file) {
  std::ifstream stream(file);
  double value = 0;
  return stream >> value ? std::optional(value) : std::nullopt;
}

// The value after `key` in a file of lines "key value".
double value_of(const std::string& file, const std::string& key) {
  std::ifstream stream(file);
  std::string name;
  for (double value = 0; stream >> name >> value; stream.ignore(256, '\n')) {
    if (name == key) return value;
  }
  return 0;
}

void lower(std::optional<double>& least, double value) {
  least = std::min(least.value_or(value), value);
}

}  // namespace

std::optional<double> cpu_quota(const std::string& root) {
  std::optional<double> cores;
  for (const std::string& folder : group_folders(root, "cpu")) {
    std::ifstream both(folder + "/cpu.max");  // version 2: "200000 100000", or "max 100000"
    double quota = 0, period = 0;
    if (both >> quota >> period && period > 0) lower(cores, quota / period);
    const auto quota_us = number_in(folder + "/cpu.cfs_quota_us");  // version 1: -1 for none
    const auto period_us = number_in(folder + "/cpu.cfs_period_us");
    if (quota_us && period_us && *quota_us > 0 && *period_us > 0) {
      lower(cores, *quota_us / *period_us);
    }
  }
  return cores;
}

std::optional<double> memory_left(const std::string& root) {
  constexpr double kNoLimit = 1e18;  // version 1 writes a number near 2^63
  std::optional<double> left;
  const auto consider = [&](const std::string& folder, const char* limit_file,
                            const char* usage_file, const char* cache) {
    const auto limit = number_in(folder + limit_file);
    const auto usage = number_in(folder + usage_file);
    if (!limit || !usage || *limit >= kNoLimit) return;
    // The cache of files, which the kernel drops first.
    const double reclaimable = value_of(folder + "/memory.stat", cache);
    lower(left, std::max(0.0, *limit - *usage + reclaimable));
  };
  for (const std::string& folder : group_folders(root, "memory")) {
    consider(folder, "/memory.max", "/memory.current", "inactive_file");
    consider(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file");
  }
  return left;
}

int bound_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // The call fails on machines with more than 1024 CPUs.
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                     : int(std::thread::hardware_concurrency());
}

int usable_cores() {
  const double affine = bound_cores();
  return int(std::max(1.0, std::min(affine, std::ceil(cpu_quota().value_or(affine)))));
}

std::optional<double> available_memory() {
  const std::string file = "/proc/meminfo";  // "MemAvailable:   22442924 kB"
  const double of_machine = 1024 * (value_of(file, "MemAvailable:") + value_of(file, "SwapFree:"));
  std::optional<double> bytes = memory_left();
  if (of_machine > 0) lower(bytes, of_machine);
  return bytes;
}

void require_memory(const std::string& what, double bytes, const std::string& remedy) {
  const std::optional<double> available = available_memory();
  if (!available || bytes <= *available) return;
  throw Error(fmt::format("{} need about {:.1f} GiB of memory and {:.1f} GiB are available; {}",
                          what, bytes / kGib, *available / kGib, remedy));
}

void require_memory(const std::string& what, const MemoryNeed& need, const std::string& remedy) {
  const std::optional<double> available = available_memory();
  if (!available || need.total() <= *available) return;
  throw Error(
      fmt::format("{} needs about {:.1f} GiB of memory (weights {:.1f}, activations {:.1f}, "
                  "of them attention scores {:.1f}) and {:.1f} GiB are available; {}",
                  what, need.total() / kGib, need.weights / kGib, need.activations / kGib,
                  need.attention_scores / kGib, *available / kGib, remedy));
}

}  // namespace ridgewalk
