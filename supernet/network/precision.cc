#include "supernet/network/precision.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <string>

#include "space/error.h"

namespace ridgewalk {
namespace {

bool cpu_multiplies_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__) && defined(HWCAP2_BF16)
  return getauxval(AT_HWCAP2) & HWCAP2_BF16;
#else
  return false;
#endif
}

void set_autocast(torch::Device device, bool enabled) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_dtype(device.type(), at::kBFloat16);
  at::autocast::set_autocast_enabled(device.type(), enabled);
#else
  if (device.is_cuda()) {
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    at::autocast::set_enabled(enabled);
  } else {
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(enabled);
  }
#endif
}

}  // namespace

bool computes_in_bf16(torch::Device device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::is_autocast_enabled(device.type());
#else
  return device.is_cuda() ? at::autocast::is_enabled() : at::autocast::is_cpu_enabled();
#endif
}

DataType precision_named(std::string_view name, torch::Device device) {
  if (name == "auto") {
    return device.is_cuda() || cpu_multiplies_bf16() ? DataType::kBf16 : DataType::kFp32;
  }
  const auto type = value_named<DataType>(name);
  if (type != DataType::kFp32 && type != DataType::kBf16) {
    throw Error("networks do not compute in " + std::string(to_string(type)) +
                "; the precision must be auto, fp32 or bf16");
  }
  return type;
}

Autocast::Autocast(DataType precision, torch::Device device)
    : device_(device), active_(precision == DataType::kBf16) {
  if (active_) set_autocast(device_, true);
}

Autocast::~Autocast() {
  if (!active_) return;
  at::autocast::clear_cache();
  set_autocast(device_, false);
}

}  // namespace ridgewalk
