// What this process may use of the machine: cores and memory.
#pragma once

#include <optional>
#include <string>

#include "supernet/network/memory.h"

namespace ridgewalk {

// CPU cores: those of the process's affinity (taskset), or fewer where a control group has a quota;
// at least 1.
int usable_cores();
// Those that it is bound to, control groups aside.
int bound_cores();

// Bytes that can be allocated without swapping others out: MemAvailable and SwapFree of
// /proc/meminfo, or less where a control group has a limit. Nothing where it is not known.
std::optional<double> available_memory();

// The tightest limit of this process's control groups and those that contain them, in version 1 or
// 2; nothing where there is none. `root` is put before /proc and /sys.
std::optional<double> cpu_quota(const std::string& root = "");    // cores
std::optional<double> memory_left(const std::string& root = "");  // bytes

// Throws Error when `bytes` exceed the available memory: "WHAT need about ...; REMEDY".
void require_memory(const std::string& what, double bytes, const std::string& remedy);
// Throws Error when `need` exceeds the available memory: "WHAT needs about ...; REMEDY".
void require_memory(const std::string& what, const MemoryNeed& need, const std::string& remedy);

}  // namespace ridgewalk
