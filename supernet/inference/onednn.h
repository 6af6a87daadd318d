// oneDNN's C++ API, and the little of it that versions 2 and 3 write differently. Only for the .cc
// files of inference: oneDNN stays out of all other headers.
#pragma once

#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

namespace ridgewalk::onednn {

// Whether oneDNN may use AVX-512 with VNNI: ONEDNN_MAX_CPU_ISA can forbid what this CPU has.
inline bool has_avx512_vnni() {
  const auto vnni = int(dnnl::cpu_isa::avx512_core_vnni);
  return (int(dnnl::get_effective_cpu_isa()) & vnni) == vnni;
}

#if DNNL_VERSION_MAJOR >= 3

using Pooling = dnnl::pooling_forward;
using Softmax = dnnl::softmax_forward;

// `arguments` are those of version 3, without engine and attributes.
template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine,
                                            const dnnl::primitive_attr& attributes,
                                            const Arguments&... arguments) {
  return {engine, arguments..., attributes};
}

inline dnnl::sum::primitive_desc describe_sum(const dnnl::engine& engine,
                                              const dnnl::primitive_attr& attributes,
                                              const dnnl::memory::desc& output,
                                              const std::vector<float>& scales,
                                              const std::vector<dnnl::memory::desc>& inputs) {
  return {engine, output, scales, inputs, attributes};
}

inline void append_eltwise(dnnl::post_ops& post_ops, dnnl::algorithm kind, float alpha,
                           float beta) {
  post_ops.append_eltwise(kind, alpha, beta);
}

inline dnnl::memory::dims sizes(const dnnl::memory::desc& layout) { return layout.get_dims(); }
inline dnnl::memory::data_type type_of(const dnnl::memory::desc& layout) {
  return layout.get_data_type();
}

// The int32 sums of a convolution, plus a bias, times a factor for each channel, in fp32. Version 3
// scales before it adds a bias, which rounds otherwise: so here both run after the convolution.
class ScaledSums {
 public:
  using Argument = std::pair<int, dnnl::memory::desc>;

  // `after` is what follows.
  ScaledSums(int64_t channels, bool has_bias, const dnnl::post_ops& after) : has_bias_(has_bias) {
    using Memory = dnnl::memory;
    column_ = {{1, channels, 1, 1}, Memory::data_type::f32, Memory::format_tag::nhwc};
    if (has_bias) post_ops_.append_binary(dnnl::algorithm::binary_add, column_);
    post_ops_.append_binary(dnnl::algorithm::binary_mul, column_);
    append(post_ops_, after);
  }
  const dnnl::post_ops& post_ops() const { return post_ops_; }
  void set(dnnl::primitive_attr&, const std::vector<float>&) const {}
  dnnl::memory::desc bias() const { return {}; }
  std::vector<Argument> bias_arguments() const {
    if (!has_bias_) return {};
    return {{DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, column_}};
  }
  std::vector<Argument> factor_arguments() const {
    return {{DNNL_ARG_ATTR_MULTIPLE_POST_OP(has_bias_ ? 1 : 0) | DNNL_ARG_SRC_1, column_}};
  }

 private:
  static void append(dnnl::post_ops& post_ops, const dnnl::post_ops& after) {
    for (int i = 0; i < after.len(); ++i) {
      if (after.kind(i) == dnnl::primitive::kind::sum) {
        float scale = 0;
        int32_t zero_point = 0;
        dnnl::memory::data_type type{};
        after.get_params_sum(i, scale, zero_point, type);
        post_ops.append_sum(scale, zero_point, type);
      } else {
        dnnl::algorithm kind{};
        float alpha = 0, beta = 0;
        after.get_params_eltwise(i, kind, alpha, beta);
        post_ops.append_eltwise(kind, alpha, beta);
      }
    }
  }

  bool has_bias_;
  dnnl::memory::desc column_;
  dnnl::post_ops post_ops_;
};

// Whether this CPU adds products of 8-bit integers without saturating on the way.
inline bool adds_exactly() {
  const auto isa = dnnl::get_effective_cpu_isa();
  return isa == dnnl::cpu_isa::avx2_vnni || isa == dnnl::cpu_isa::avx2_vnni_2 || has_avx512_vnni();
}

#else

using Pooling = dnnl::pooling_v2_forward;
using Softmax = dnnl::softmax_v2_forward;

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::engine& engine,
                                            const dnnl::primitive_attr& attributes,
                                            const Arguments&... arguments) {
  return {typename Primitive::desc(arguments...), attributes, engine};
}

inline dnnl::sum::primitive_desc describe_sum(const dnnl::engine& engine,
                                              const dnnl::primitive_attr& attributes,
                                              const dnnl::memory::desc& output,
                                              const std::vector<float>& scales,
                                              const std::vector<dnnl::memory::desc>& inputs) {
  return {output, scales, inputs, engine, attributes};
}

inline void append_eltwise(dnnl::post_ops& post_ops, dnnl::algorithm kind, float alpha,
                           float beta) {
  post_ops.append_eltwise(1, kind, alpha, beta);
}

inline dnnl::memory::dims sizes(const dnnl::memory::desc& layout) { return layout.dims(); }
inline dnnl::memory::data_type type_of(const dnnl::memory::desc& layout) {
  return static_cast<dnnl::memory::data_type>(layout.data.data_type);
}

// The int32 sums of a convolution, plus a bias, times a factor for each channel, in fp32.
class ScaledSums {
 public:
  using Argument = std::pair<int, dnnl::memory::desc>;

  // `after` is what follows.
  ScaledSums(int64_t channels, bool has_bias, dnnl::post_ops after) : post_ops_(std::move(after)) {
    using Memory = dnnl::memory;
    if (has_bias) bias_ = {{channels}, Memory::data_type::s32, Memory::format_tag::x};
  }
  const dnnl::post_ops& post_ops() const { return post_ops_; }
  void set(dnnl::primitive_attr& attributes, const std::vector<float>& factors) const {
    attributes.set_output_scales(1 << 1, factors);
  }
  const dnnl::memory::desc& bias() const { return bias_; }
  std::vector<Argument> bias_arguments() const {
    if (bias_.is_zero()) return {};
    return {{DNNL_ARG_BIAS, bias_}};
  }
  std::vector<Argument> factor_arguments() const { return {}; }

 private:
  dnnl::post_ops post_ops_;
  dnnl::memory::desc bias_;
};

// Whether this CPU adds products of 8-bit integers without saturating on the way.
inline bool adds_exactly() {
  return dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx2_vnni || has_avx512_vnni();
}

#endif

}  // namespace ridgewalk::onednn
