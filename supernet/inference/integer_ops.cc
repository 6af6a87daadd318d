// Ops on integers, besides products with weights and of attention: each is one pass over bytes.
#include <algorithm>
#include <numeric>

#include <ATen/Parallel.h>

#include "supernet/inference/op_compiler.h"
#include "supernet/quantization/integer_arithmetic.h"

namespace ridgewalk {
namespace {

constexpr int64_t kWidest = 64;               // bytes of a register
constexpr int64_t kBytesPerThread = 1 << 15;  // what is worth waking one

template <class Run>
void in_parallel(int64_t items, int64_t bytes_per_item, const Run& run) {
  const int64_t grain = std::max<int64_t>(1, kBytesPerThread / bytes_per_item);
  if (items <= grain) return run(0, items);
  at::parallel_for(0, items, grain, run);
}

}  // namespace

OpCompiler::Desc OpCompiler::like(int index) const {
  return activations(op(index).output, stored_type(*scale_of(index)));
}

bool OpCompiler::integer_op(int index, bool is_last_reader) {
  if (op(index).inputs.empty() || !scale_of(index) || !has_integer_inputs(index)) return false;
  switch (op(index).kind) {
    case OpKind::kActivation:
    case OpKind::kSigmoid:
    case OpKind::kHardSigmoid:
      table(index, is_last_reader);
      return true;
    case OpKind::kAdd:
      integer_add(index);
      return true;
    case OpKind::kMultiply:
      integer_multiply(index);
      return true;
    case OpKind::kPool:
      integer_pool(index);
      return true;
    default:
      return false;
  }
}

void OpCompiler::table(int index, bool in_place) {
  const ValueScale &from = *input_scale(index), &to = *scale_of(index);
  const std::array<int, 256> integers = value_table(op(index), from, to);
  ByteTable bytes{};
  for (int i = 0; i < 256; ++i) {
    bytes[size_t(from.type == IntegerType::kU8 ? i : (i + 128) % 256)] =
        uint8_t(integers[size_t(i)]);
  }
  const Value result = in_place ? program_.alias(input(index), like(index)) : integers_of(index);
  program_.add(
      [bytes, count = int64_t(layout(result).get_size())](uint8_t* const* operands) {
        in_parallel(count, 1, [&](int64_t begin, int64_t end) {
          look_up_row(operands[0] + begin, end - begin, bytes, operands[1] + begin);
        });
      },
      {input(index), result});
  end_integer_step({index}, result, "table");
}

void OpCompiler::integer_add(int index) {
  const ValueScale &a = *input_scale(index), &b = *input_scale(index, 1), &y = *scale_of(index);
  const SumForm form{.a = form_of(a),
                     .b = form_of(b),
                     .y = form_of(y),
                     .a_factor = sum_factor(a, y),
                     .b_factor = sum_factor(b, y)};
  const Value result = integers_of(index);
  program_.add(
      [form, count = int64_t(layout(result).get_size())](uint8_t* const* operands) {
        in_parallel(count, 1, [&](int64_t begin, int64_t end) {
          add_row(operands[0] + begin, operands[1] + begin, end - begin, form, operands[2] + begin);
        });
      },
      {input(index), input(index, 1), result});
  end_integer_step({index}, result, "add");
}

// Features times a gate for each channel.
void OpCompiler::integer_multiply(int index) {
  const ValueScale &x = *input_scale(index), &gate = *input_scale(index, 1);
  const ProductForm form{
      .x = form_of(x),
      .gate = form_of(gate),
      .y = form_of(*scale_of(index)),
      .factor = multiplier(double(x.scale) * double(gate.scale), *scale_of(index))};
  const Shape& shape = op(index).output;
  const int64_t channels = shape.channels, pixels = int64_t{shape.height} * shape.width;
  // Pixels are multiplied together, so that they fill whole registers.
  const int64_t together = std::min(pixels, kWidest / std::gcd(kWidest, channels));
  const Value gates =
      program_.scratchpad({{together * channels}, Type::u8, dnnl::memory::format_tag::x});
  const Value result = integers_of(index);
  program_.add(
      [form, channels, pixels, together, images = batch_](uint8_t* const* operands) {
        const int64_t blocks = (pixels + together - 1) / together;
        for (int64_t n = 0; n < images; ++n) {
          for (int64_t i = 0; i < together; ++i) {
            std::copy_n(operands[1] + n * channels, channels, operands[2] + i * channels);
          }
          in_parallel(blocks, together * channels, [&](int64_t begin, int64_t end) {
            for (int64_t block = begin; block < end; ++block) {
              const int64_t pixel = n * pixels + block * together;
              const int64_t count = std::min(together, pixels - block * together);
              multiply_row(operands[0] + pixel * channels, operands[2], count * channels, form,
                           operands[3] + pixel * channels);
            }
          });
        }
      },
      {input(index), input(index, 1), gates, result});
  end_integer_step({index}, result, "multiply");
}

void OpCompiler::integer_pool(int index) {
  const ValueScale &from = *input_scale(index), &to = *scale_of(index);
  const Shape& image = op(op(index).inputs[0]).output;
  const int64_t channels = image.channels, pixels = int64_t{image.height} * image.width;
  const float factor = multiplier(double(from.scale) / double(pixels), to);
  const Value buffer = program_.value({{channels}, Type::s32, dnnl::memory::format_tag::x});
  const Value result = integers_of(index);
  program_.add(
      [from = form_of(from), to = form_of(to), factor, channels, pixels,
       images = batch_](uint8_t* const* operands) {
        int32_t* const sums = reinterpret_cast<int32_t*>(operands[1]);
        for (int64_t n = 0; n < images; ++n) {
          sum_pixels(operands[0] + n * pixels * channels, pixels, channels, from, sums);
          scale_sums(sums, channels, factor, to, operands[2] + n * channels);
        }
      },
      {input(index), buffer, result});
  end_integer_step({index}, result, "pool");
}

}  // namespace ridgewalk
