// Processes that compute one run together, over c10d's Gloo and, between GPUs, NCCL.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <torch/types.h>

namespace ridgewalk {

class NcclExchange;

// Which process of the group this is, and where the first one listens.
struct GroupMember {
  int rank = 0;  // from 0
  int size = 1;
  std::string host = {};
  int port = 0;
  bool operator==(const GroupMember&) const = default;
};

// Another process has ended, or has not answered in time. The group is unusable afterwards.
class GroupLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// All processes of a group call the same functions in the same order, from one thread at a time.
// They throw GroupLost: at once when another process ends, after the timeout when it is silent.
class ProcessGroup {
 public:
  // How long the others may take to start, and to get ready before the first step (reading data).
  static constexpr std::chrono::seconds kStart{600}, kReady{3600};

  // Waits for the others. Throws Error when they do not come, when the first one's host is unknown,
  // or when this LibTorch has no Gloo.
  ProcessGroup(const GroupMember& member, std::chrono::seconds timeout);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_first() const { return rank_ == 0; }

  // A number from each process, by rank. Where the processes are `getting_ready`, kReady is the
  // timeout.
  std::vector<int64_t> gathered(int64_t own, bool getting_ready = false);
  // Whether any process says so.
  bool any(bool own);
  // What the first process gives.
  int64_t from_first(int64_t own, bool getting_ready = false);
  std::string from_first(const std::string& own);

  // Where a tensor of this device must lie to be sent: there, or on the CPU, for want of NCCL.
  torch::Device carrier(torch::Device device) const;
  // The tensor [sizes[rank]] of each process, by rank; all of the type of `own`, and all on
  // carriers of one kind, GPUs one for each process. Every process sends its own to every other:
  // (size - 1) times its bytes. Throws Error where NCCL cannot connect the GPUs.
  std::vector<torch::Tensor> exchanged(const torch::Tensor& own, const std::vector<int64_t>& sizes);
  // Sends a tensor to each process, by rank; gives that of each for this one, [sizes[rank]].
  std::vector<torch::Tensor> dealt_out(const std::vector<torch::Tensor>& own,
                                       const std::vector<int64_t>& sizes);

  // Before this process ends without an error: waits until none needs it, and throws nothing.
  void leave() noexcept;

 private:
  struct Connections;
  NcclExchange& between_gpus(torch::Device own);
  template <class Action>
  auto guarded(std::chrono::seconds timeout, Action action);

  int rank_, size_;
  std::chrono::seconds timeout_;
  std::unique_ptr<Connections> connections_;
  std::unique_ptr<NcclExchange> nccl_;  // when the first tensor goes by it
};

// What this process and the others compute of `count` independent pieces of work: those whose
// number modulo the size is the rank. Without a group all of them.
std::vector<int64_t> dealt(int64_t count, const ProcessGroup* group);

}  // namespace ridgewalk
