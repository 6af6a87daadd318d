// The members of a process group as threads of one process, which Gloo does not tell apart.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "supernet/training/process_group.h"
#include "tests/free_port.h"

namespace ridgewalk {

// Calls `member` once for each, and rethrows what the first of them that throws has thrown.
inline void in_group(int size, const std::function<void(std::shared_ptr<ProcessGroup>)>& member,
                     std::chrono::seconds timeout = std::chrono::seconds(60)) {
  const int port = free_port();
  std::vector<std::exception_ptr> errors(static_cast<size_t>(size));
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          member(
              std::make_shared<ProcessGroup>(GroupMember{rank, size, "127.0.0.1", port}, timeout));
        } catch (...) {
          errors[size_t(rank)] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace ridgewalk
