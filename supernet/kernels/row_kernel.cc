#include "supernet/kernels/row_kernel.h"

#include "supernet/kernels/each_cpu.h"

namespace ridgewalk {
namespace {

template <bool kAdds, class From, class To>
RIDGEWALK_INLINE void put(const From* __restrict x, int64_t count, To* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    store(kAdds ? to_float(to[i]) + to_float(x[i]) : to_float(x[i]), to[i]);
  }
}

}  // namespace

RIDGEWALK_EACH_CPU void set_row(const float* x, int64_t count, float* to) {
  put<false>(x, count, to);
}
RIDGEWALK_EACH_CPU void set_row(const float* x, int64_t count, Bf16* to) {
  put<false>(x, count, to);
}
RIDGEWALK_EACH_CPU void add_row(const float* x, int64_t count, float* to) {
  put<true>(x, count, to);
}
RIDGEWALK_EACH_CPU void add_row(const float* x, int64_t count, Bf16* to) {
  put<true>(x, count, to);
}
RIDGEWALK_EACH_CPU void add_row(const Bf16* x, int64_t count, Bf16* to) { put<true>(x, count, to); }
RIDGEWALK_EACH_CPU void add_row(const Bf16* x, int64_t count, float* to) {
  put<true>(x, count, to);
}

}  // namespace ridgewalk
