// Products of integers on a CPU without VNNI, whose sums oneDNN would saturate on the way, or, with
// a zero point, round: those of convolutions by a kernel of our own, those of attention as fp32,
// which is exact below 2^24.
#include <memory>

#include "supernet/inference/op_compiler.h"
#include "supernet/kernels/integer_convolution_kernel.h"

namespace ridgewalk {

using Tag = dnnl::memory::format_tag;

void OpCompiler::exact_convolution(const InferenceStep& step) {
  const int index = step.ops[0], last = step.ops.back();
  const Op& o = op(index);
  const Shape& image = op(o.inputs[0]).output;
  const Filters filters = this->filters(index);
  const auto kernel = std::make_shared<const IntegerConvolution>(
      shape_of(index), filters.weight.data_ptr<int8_t>(), form_of(*input_scale(index)),
      own_rounding(step, filters));
  const int64_t bytes = kernel->scratchpad_bytes(), parts = at::get_num_threads();
  const Value scratchpad = program_.scratchpad({{parts * bytes}, Type::u8, Tag::x});
  const bool is_rounded = scale_of(last).has_value();
  const Value result =
      is_rounded ? integers_of(last) : program_.value(activations(o.output, Type::f32));
  program_.add(
      [kernel, bytes, parts, is_rounded, images = batch_, x_size = image.elements(),
       y_size = o.output.elements()](uint8_t* const* operands) {
        in_strips(images, kernel->blocks(), parts,
                  [&](int64_t part, int64_t n, int64_t begin, int64_t end) {
                    const uint8_t* const x = operands[0] + n * x_size;
                    uint8_t* const own = operands[1] + part * bytes;
                    if (is_rounded) {
                      kernel->run(x, begin, end, own, operands[2] + n * y_size);
                    } else {
                      auto* const reals = reinterpret_cast<float*>(operands[2]);
                      kernel->run(x, begin, end, own, reals + n * y_size);
                    }
                  });
      },
      {input(index), scratchpad, result});
  end_integer_step(step.ops, result, "blocks:int16");
}

// In the layout and the type of `to`.
void OpCompiler::copy(Value from, Value to) {
  const dnnl::reorder::primitive_desc description(
      program_.engine(), layout(from), program_.engine(), layout(to), Program::attributes());
  program_.add<dnnl::reorder>(description, {{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, to}});
}

// Left times right, times `factor`, rounded where `product` is integers. Sums of attention are
// below 2^24: those of scores have some tens of products, and the weights of each sum of a mix add
// up to about 255.
std::string OpCompiler::exact_matrix_product(int index, Value left, Value right, float factor,
                                             Value product) {
  const auto numbers = [&](Value integers) {
    const Desc source = layout(integers);
    const Value result = program_.value({onednn::sizes(source), Type::f32, Tag::abc});
    copy(integers, result);
    return result;
  };
  const Value lefts = numbers(left), rights = numbers(right);
  const bool is_rounded = onednn::type_of(layout(product)) != Type::f32;
  const Value reals =
      is_rounded ? program_.value({onednn::sizes(layout(product)), Type::f32, Tag::abc}) : product;
  dnnl::post_ops post_ops;
  onednn::append_eltwise(post_ops, dnnl::algorithm::eltwise_linear, factor, 0);
  const auto chosen =
      onednn::describe<dnnl::matmul>(program_.engine(), Program::attributes(post_ops),
                                     layout(lefts), layout(rights), layout(reals));
  program_.add<dnnl::matmul>(
      chosen, {{DNNL_ARG_SRC, lefts}, {DNNL_ARG_WEIGHTS, rights}, {DNNL_ARG_DST, reals}});
  const std::string kernel = std::string(chosen.impl_info_str()) + " of integers";
  if (!is_rounded) return kernel;
  ValueScale unit = *scale_of(index);
  unit.scale = 1;
  const Desc target = layout(product);
  const Desc dense{onednn::sizes(target), onednn::type_of(target), Tag::abc};
  if (target == dense) return kernel + round(reals, product, unit);
  // Of one of several heads, between whose rows are those of the others.
  const Value rounded = program_.value(dense);
  const std::string rounding = round(reals, rounded, unit);
  copy(rounded, product);
  return kernel + rounding;
}

}  // namespace ridgewalk
