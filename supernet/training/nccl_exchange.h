// Tensors that go from GPU to GPU, by NCCL. Not installed.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <torch/types.h>

namespace ridgewalk {

// Whether this was built with a LibTorch that has it.
bool has_nccl();

// Of processes that each have a GPU of their own; all call the same functions in the same order.
// What LibTorch throws is let through. Not c10d's group for NCCL, which ends the program itself
// when another process is silent.
class NcclExchange {
 public:
  // Where the others find the process that makes it: bytes for their constructors.
  static std::string meeting_point();

  // Waits for the others.
  NcclExchange(const std::string& meeting_point, int rank, int size, torch::Device gpu);

  // Sends a tensor to each process, by rank, and receives one from each; all contiguous. Returns
  // false where that takes longer than `timeout`: then the communicator is unusable, and `from` may
  // still be written to. While NCCL connects, here and in the first exchange, nothing limits it.
  bool exchange(std::vector<torch::Tensor>& to, std::vector<torch::Tensor>& from,
                std::chrono::seconds timeout);

 private:
  torch::Device gpu_;
  void* communicator_ = nullptr;  // until the program ends, as LibTorch's own
};

}  // namespace ridgewalk
