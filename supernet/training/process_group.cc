#include "supernet/training/process_group.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <torch/cuda.h>

#include "space/error.h"
#include "supernet/training/nccl_exchange.h"

// LibTorch's headers of Gloo include Gloo's own, which not every LibTorch brings (Debian:
// libgloo-dev).
#if defined(USE_C10D_GLOO) && __has_include(<gloo/algorithm.h>)
#define RIDGEWALK_HAS_GLOO 1
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <c10/util/Flags.h>
#include <c10/util/Logging.h>
#include <dlfcn.h>
#include <netdb.h>
C10_DECLARE_int(caffe2_log_level);
#endif

namespace ridgewalk {

std::vector<int64_t> dealt(int64_t count, const ProcessGroup* group) {
  std::vector<int64_t> own;
  const int64_t size = group != nullptr ? group->size() : 1;
  for (int64_t i = group != nullptr ? group->rank() : 0; i < count; i += size) own.push_back(i);
  return own;
}

int64_t ProcessGroup::from_first(int64_t own, bool getting_ready) {
  return gathered(own, getting_ready)[0];
}

bool ProcessGroup::any(bool own) {
  const std::vector<int64_t> all = gathered(own ? 1 : 0);
  return std::any_of(all.begin(), all.end(), [](int64_t yes) { return yes != 0; });
}

torch::Device ProcessGroup::carrier(torch::Device device) const {
  return device.is_cuda() && has_nccl() ? device : torch::kCPU;
}

std::vector<torch::Tensor> ProcessGroup::exchanged(const torch::Tensor& own,
                                                   const std::vector<int64_t>& sizes) {
  return dealt_out(std::vector<torch::Tensor>(size_t(size_), own), sizes);
}

void ProcessGroup::leave() noexcept {
  try {
    any(false);
  } catch (const std::exception&) {  // another has left already
  }
}

#ifdef RIDGEWALK_HAS_GLOO

namespace {

constexpr int kTag = 0;

// On the network that the first process is reached by, or the one that Gloo is told to take.
std::shared_ptr<::gloo::transport::Device> device_for(const GroupMember& member) {
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME")) {
    return c10d::ProcessGroupGloo::createDeviceForInterface(interface);
  }
  const bool is_local = member.host == "localhost" || member.host.starts_with("127.");
  return is_local ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                  : c10d::ProcessGroupGloo::createDefaultDevice();
}

// c10d writes of each address that it tries to stderr; what counts comes as an exception. LibTorch
// logs by itself or, in Debian's build, through glog, which has a level of its own.
void silence_c10d() {
  constexpr int kFatal = 3;
  FLAGS_caffe2_log_level = kFatal;
  if (void* level = dlsym(RTLD_DEFAULT, "_ZN3fLI17FLAGS_minloglevelE")) {
    *static_cast<int32_t*>(level) = kFatal;
  }
}

// c10d would try for as long as it waits for others.
void require_known(const std::string& host) {
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  if (error != 0) throw std::runtime_error(::gai_strerror(error));
  ::freeaddrinfo(found);
}

std::string first_line(const std::exception& error) {
  const std::string what = error.what();
  return what.substr(0, what.find('\n'));
}

GroupLost lost(int size, std::chrono::seconds timeout) {
  return GroupLost("another of the " + std::to_string(size) +
                   " processes has ended, or has not answered for " +
                   std::to_string(timeout.count()) + " s");
}

// LibTorch 2 asks for libuv, which Debian's has not.
void without_libuv(auto& options) {
  if constexpr (requires { options.useLibUV; }) options.useLibUV = false;
}

}  // namespace

struct ProcessGroup::Connections {
  c10::intrusive_ptr<c10d::Store> store;
  // The same processes twice: Gloo has one timeout for all that a group does.
  c10::intrusive_ptr<c10d::ProcessGroupGloo> at_ready, at_work;

  Connections(const GroupMember& member, std::chrono::seconds timeout) {
    require_known(member.host);
    const auto device = device_for(member);
    c10d::TCPStoreOptions options;
    options.port = uint16_t(member.port);
    options.isServer = member.rank == 0;
    options.numWorkers = size_t(member.size);
    options.timeout = kStart;
    without_libuv(options);
    store = c10::make_intrusive<c10d::TCPStore>(member.host, options);
    at_ready = connect(member, device, "ready", kReady);
    at_work = connect(member, device, "work", timeout);
  }

  c10::intrusive_ptr<c10d::ProcessGroupGloo> connect(
      const GroupMember& member, const std::shared_ptr<::gloo::transport::Device>& device,
      const std::string& name, std::chrono::seconds timeout) const {
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices.push_back(device);
    options->threads = 1;
    return c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>(name, store), member.rank, member.size, options);
  }

  // Sends a tensor to each process and receives one from each; nothing of what is empty.
  void exchange(const std::vector<torch::Tensor>& to, const std::vector<torch::Tensor>& from,
                int rank) const {
    std::vector<c10::intrusive_ptr<c10d::Work>> works;
    const int size = int(to.size());
    for (int r = 0; r < size; ++r) {
      std::vector<at::Tensor> one{from[size_t(r)]};
      if (one[0].numel() > 0) works.push_back(at_work->recv(one, r, kTag));
    }
    for (int i = 1; i < size; ++i) {  // not all to the same one first
      const int r = (rank + i) % size;
      std::vector<at::Tensor> one{to[size_t(r)]};
      if (one[0].numel() > 0) works.push_back(at_work->send(one, r, kTag));
    }
    for (const auto& work : works) work->wait();
  }
};

ProcessGroup::ProcessGroup(const GroupMember& member, std::chrono::seconds timeout)
    : rank_(member.rank), size_(member.size), timeout_(timeout) {
  silence_c10d();
  try {
    connections_ = std::make_unique<Connections>(member, timeout);
  } catch (const std::exception& error) {
    throw Error("the " + std::to_string(size_) + " processes cannot meet at " + member.host + ":" +
                std::to_string(member.port) + " (" + first_line(error) +
                "); all must be started, and reach MASTER_ADDR at a free MASTER_PORT");
  }
}

ProcessGroup::~ProcessGroup() = default;

template <class Action>
auto ProcessGroup::guarded(std::chrono::seconds timeout, Action action) {
  try {
    return action();
  } catch (const std::exception&) {  // of Gloo or c10d, which say no more than that
    throw lost(size_, timeout);
  }
}

std::vector<int64_t> ProcessGroup::gathered(int64_t own, bool getting_ready) {
  return guarded(getting_ready ? kReady : timeout_, [&] {
    std::vector<at::Tensor> given{torch::full({1}, own, torch::kLong)};
    std::vector<std::vector<at::Tensor>> got(1);
    for (int r = 0; r < size_; ++r) got[0].push_back(torch::empty({1}, torch::kLong));
    (getting_ready ? connections_->at_ready : connections_->at_work)->allgather(got, given)->wait();
    std::vector<int64_t> numbers;
    for (const at::Tensor& number : got[0]) numbers.push_back(number.item<int64_t>());
    return numbers;
  });
}

std::string ProcessGroup::from_first(const std::string& own) {
  std::string bytes(size_t(from_first(int64_t(own.size()))), '\0');
  if (is_first()) bytes = own;
  if (bytes.empty()) return bytes;
  guarded(timeout_, [&] {
    std::vector<at::Tensor> tensor{
        torch::from_blob(bytes.data(), {int64_t(bytes.size())}, torch::kByte)};
    connections_->at_work->broadcast(tensor)->wait();
  });
  return bytes;
}

NcclExchange& ProcessGroup::between_gpus(torch::Device own) {
  if (nccl_) return *nccl_;
  const std::string meeting_point = from_first(is_first() ? NcclExchange::meeting_point() : "");
  nccl_ = std::make_unique<NcclExchange>(meeting_point, rank_, size_, own);
  return *nccl_;
}

std::vector<torch::Tensor> ProcessGroup::dealt_out(const std::vector<torch::Tensor>& own,
                                                   const std::vector<int64_t>& sizes) {
  const auto rank = size_t(rank_);
  std::vector<torch::Tensor> to = own, from;
  for (size_t r = 0; r < to.size(); ++r) {
    from.push_back(torch::empty({r == rank ? 0 : sizes[r]}, own[rank].options()));
  }
  to[rank] = from[rank];
  if (own[rank].is_cuda()) {
    torch::cuda::synchronize(own[rank].device().index());
    try {
      NcclExchange& nccl = between_gpus(own[rank].device());
      // NCCL does not see that a process has ended.
      guarded(timeout_, [&] { connections_->at_work->barrier()->wait(); });
      if (!nccl.exchange(to, from, timeout_)) throw lost(size_, timeout_);
    } catch (const GroupLost&) {
      throw;
    } catch (const std::exception& error) {
      throw Error("NCCL cannot connect the GPUs of the " + std::to_string(size_) + " processes (" +
                  first_line(error) +
                  "); each needs a GPU of its own, and NCCL_DEBUG=WARN says more");
    }
  } else {
    guarded(timeout_, [&] { connections_->exchange(to, from, rank_); });
  }
  from[rank] = own[rank];
  return from;
}

#else

struct ProcessGroup::Connections {};

ProcessGroup::ProcessGroup(const GroupMember& member, std::chrono::seconds timeout)
    : rank_(member.rank), size_(member.size), timeout_(timeout) {
  throw Error(
      "this ridgewalk was built without Gloo, which a run of several processes needs: build it "
      "with a LibTorch that has it and Gloo's headers (Debian: libgloo-dev), or start one process");
}

ProcessGroup::~ProcessGroup() = default;
std::vector<int64_t> ProcessGroup::gathered(int64_t own, bool) { return {own}; }
std::string ProcessGroup::from_first(const std::string& own) { return own; }
std::vector<torch::Tensor> ProcessGroup::dealt_out(const std::vector<torch::Tensor>& own,
                                                   const std::vector<int64_t>&) {
  return own;
}

#endif

}  // namespace ridgewalk
