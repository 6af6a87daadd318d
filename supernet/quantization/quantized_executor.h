// Runs a quantised network, every integer as quantized_graph.h says it is: what other executions
// are compared with, and accuracy over data sets.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <torch/types.h>

#include "supernet/quantization/integer_arithmetic.h"
#include "supernet/quantization/quantized_network.h"

namespace ridgewalk {

// How products are summed. The results are the same bits.
enum class Products {
  kPlain,  // loops over integers, whose sums must fit int32: to compare with
  kFast,   // by LibTorch, in fp32 where no sum can reach 2^24 and in fp64 elsewhere
};

// What integer weights multiply where their input is not rounded.
enum class FloatInputs {
  kKept,            // the weights stand for their real values
  kRoundedByBatch,  // dynamic quantisation: integers at the scale of this batch's range
};

// Sums and rounding, as every execution has to do them:
//   - products (of a convolution, a linear layer, attention, a gate) and a pool: the exact integer
//     sum, bias included, is converted to fp32, multiplied by multiplier(product scale, value),
//     then rounded half to even, moved by the zero point and saturated; ReLU comes before the
//     rounding. The product scale is that of the inputs, multiplied in fp64; of scores also divided
//     by sqrt(key_dim), of a pool by the pixels. What stays fp32 is the converted sum times the
//     product scale in fp32.
//   - a function of one integer is a table: value_table().
//   - an add of integers: each, times its sum_factor(), added, rounded.
//   - all other ops: fp32 on scale * (integer - zero_point), divided by the value's scale, rounded.
class QuantizedExecutor {
 public:
  explicit QuantizedExecutor(QuantizedNetwork network, Products products = Products::kFast,
                             FloatInputs float_inputs = FloatInputs::kKept);

  // images [N, C, H, W] fp32 -> logits [N, classes] fp32. Several threads may call it at once.
  torch::Tensor forward(const torch::Tensor& images) const;
  // What each op gives: u8 or s8 where it is rounded, else fp32.
  std::vector<torch::Tensor> values(const torch::Tensor& images) const;
  // The same of one op, for inputs as values() gives them. A ReLU in one step with the op before it
  // takes the inputs of that op.
  torch::Tensor value(int op, const std::vector<torch::Tensor>& inputs) const;

  // Calls `visit` with what each op gives, in turn and in real units. Where it returns true the op
  // is computed again: its bias has changed.
  using Visit = std::function<bool(int op, const torch::Tensor& real)>;
  void run_each(const torch::Tensor& images, const Visit& visit) const;
  // The ".weight" or ".bias" of an op with integer weights; not while others run.
  void set_tensor(int op, const std::string& suffix, const torch::Tensor& tensor);

  const QuantizedNetwork& network() const { return network_; }

 private:
  struct Value {
    enum class Kind { kReal, kInteger, kSum } kind = Kind::kReal;
    torch::Tensor numbers;                    // fp32, whatever they are
    std::vector<double> product_scales = {};  // of a sum: one, or one per channel
    bool is_at_most_6 = false;                // of a sum: a ReLU6 follows
  };
  struct Weights {
    std::vector<torch::Tensor> real;     // for run_op(), where products are not of integers
    torch::Tensor integers;              // fp32 or fp64; plain: int8
    torch::Tensor bias;                  // fp32 or fp64; plain: int32; undefined without one
    std::vector<double> product_scales;  // one per output channel
  };

  Weights weights_of(int op) const;
  // As Visit; returns what the last op gives.
  using VisitValue = std::function<bool(int op, const Value& value)>;
  Value run_all(const torch::Tensor& images, const VisitValue& visit) const;
  Value run(int op, const std::vector<Value>& inputs) const;
  Value computed(int op, const std::vector<Value>& inputs) const;
  // Of integers, without fp32; nothing where the op needs it.
  std::optional<Value> of_integers(int op, const std::vector<Value>& inputs) const;
  Value product(int op, const Value& input) const;
  Value product_by_batch(int op, const torch::Tensor& x) const;
  Value attention_product(int op, const std::vector<Value>& inputs) const;
  torch::Tensor real(const Value& value, int op) const;
  // integer - zero_point.
  torch::Tensor centred(const Value& value, int op) const;
  static torch::Tensor rounded(const Value& value, const ValueScale& scale);
  Value from_stored(const torch::Tensor& stored, int op) const;
  torch::Tensor stored(const Value& value, int op) const;

  QuantizedNetwork network_;
  Products products_;
  FloatInputs float_inputs_;
  std::vector<bool> is_step_with_relu_;
  std::vector<int> last_use_;
  std::vector<Weights> weights_;
  std::vector<torch::Tensor> tables_;  // of functions of one integer: fp32 [256]
};

}  // namespace ridgewalk
