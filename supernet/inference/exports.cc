// What inference calls of oneDNN, as one_dnn() gives it.
#include <algorithm>
#include <stdexcept>

#include "supernet/inference/compiler.h"

namespace ridgewalk {
namespace {

using dnnl::memory;

std::unique_ptr<CompiledNetwork> compiled(const QuantizedGraph& quantized,
                                          const ParameterOf& parameter, int batch,
                                          DataType precision, std::vector<Inference::Step>& steps) {
  auto program = std::make_unique<Program>();
  try {
    compile(quantized, parameter, batch, precision, *program, steps);
  } catch (const dnnl::error& error) {
    throw std::runtime_error(error.what());
  }
  return program;
}

struct ProductTypes {
  memory::data_type left, right, result;
};

ProductTypes product_types(DataType type) {
  using T = memory::data_type;
  switch (type) {
    case DataType::kInt8:
      return {T::u8, T::s8, T::s32};
    case DataType::kBf16:
      return {T::bf16, T::bf16, T::f32};
    case DataType::kFp16:
      return {T::f16, T::f16, T::f32};
    case DataType::kFp32:
      break;
  }
  return {T::f32, T::f32, T::f32};
}

std::function<void()> product(DataType type, int64_t size) {
  const ProductTypes types = product_types(type);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const auto any = [&](memory::data_type t) {
    return memory::desc({size, size}, t, memory::format_tag::any);
  };
  try {
    const auto description = onednn::describe<dnnl::matmul>(engine, {}, any(types.left),
                                                            any(types.right), any(types.result));
    if (std::string(description.impl_info_str()).find("ref") != std::string::npos) return {};
    memory left(description.src_desc(), engine), right(description.weights_desc(), engine),
        result(description.dst_desc(), engine);
    for (memory* operand : {&left, &right, &result}) {
      // About 0.75 as fp32 and bf16, 1.8 as fp16, 63 as int8: with zeros the CPU would heat up
      // less.
      std::fill_n(static_cast<char*>(operand->get_data_handle()), operand->get_desc().get_size(),
                  char(0x3f));
    }
    return [multiply = dnnl::matmul(description), stream = dnnl::stream(engine), left, right,
            result]() mutable {
      multiply.execute(stream,
                       {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, result}});
      stream.wait();
    };
  } catch (const dnnl::error&) {
    return {};
  }
}

}  // namespace
}  // namespace ridgewalk

const ridgewalk::OneDnn* ridgewalk_one_dnn() {
  static constexpr ridgewalk::OneDnn calls{ridgewalk::compiled, ridgewalk::product};
  return &calls;
}
