// oneDNN's C++ API, and the little of it that versions 2 and 3 write differently. Only for the .cc
// files of inference: oneDNN stays out of all other headers.
#pragma once

#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

namespace ridgewalk::onednn {

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

#endif

}  // namespace ridgewalk::onednn
