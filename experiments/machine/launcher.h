// What a launcher of several processes (torchrun, srun, mpirun) says of this one.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "supernet/training/process_group.h"

namespace ridgewalk {

using Variables = std::map<std::string, std::string>;
// Of this process.
Variables environment_variables();

struct Launch {
  GroupMember member;
  int on_this_machine = 1;         // processes of the group
  std::optional<int> number_here;  // of this process among them, where the launcher says it
  bool operator==(const Launch&) const = default;
};

// By torchrun's variables (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), else OpenMPI's
// (OMPI_COMM_WORLD_RANK, ...), else those of a step of Slurm (SLURM_PROCID, ...). MASTER_ADDR and
// MASTER_PORT count for all three; without them Slurm's first node is taken, and this machine where
// all processes of mpirun are on it, at a port made of the job's number. torchrun's agent listens
// at MASTER_PORT itself: the port after it is taken. Nothing where there is only one process.
// Throws Error for what is missing, no number or out of range.
std::optional<Launch> launch_of(const Variables& variables);

}  // namespace ridgewalk
