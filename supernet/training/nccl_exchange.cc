#include "supernet/training/nccl_exchange.h"

#include <stdexcept>
#include <thread>

#ifdef RIDGEWALK_NCCL
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/cuda/nccl.h>
#endif

namespace ridgewalk {

#ifdef RIDGEWALK_NCCL

namespace nccl = torch::cuda::nccl;

bool has_nccl() { return true; }

std::string NcclExchange::meeting_point() {
  nccl::ncclUniqueId id;
  nccl::get_unique_id(id);
  return {id.internal, sizeof id.internal};
}

NcclExchange::NcclExchange(const std::string& meeting_point, int rank, int size, torch::Device gpu)
    : gpu_(gpu) {
  nccl::ncclUniqueId id{};
  meeting_point.copy(id.internal, sizeof id.internal);
  const c10::DeviceGuard guard(gpu_);
  communicator_ = nccl::comm_init_rank(size, id, rank);
}

bool NcclExchange::exchange(std::vector<torch::Tensor>& to, std::vector<torch::Tensor>& from,
                            std::chrono::seconds timeout) {
  const c10::DeviceGuard guard(gpu_);
  auto stream = c10::cuda::getCurrentCUDAStream(gpu_.index());
  nccl::all2all(from, to, communicator_, stream);
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!stream.unwrap().query()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
  return true;
}

#else

bool has_nccl() { return false; }
std::string NcclExchange::meeting_point() { return {}; }
NcclExchange::NcclExchange(const std::string&, int, int, torch::Device gpu) : gpu_(gpu) {
  throw std::logic_error("built without NCCL");
}
bool NcclExchange::exchange(std::vector<torch::Tensor>&, std::vector<torch::Tensor>&,
                            std::chrono::seconds) {
  return false;
}

#endif

}  // namespace ridgewalk
