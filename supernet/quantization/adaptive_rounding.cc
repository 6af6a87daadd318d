#include "supernet/quantization/adaptive_rounding.h"

#include <algorithm>
#include <cmath>

#include "supernet/network/executor.h"
#include "supernet/quantization/plain_convolution.h"
#include "supernet/quantization/quantized_executor.h"

namespace ridgewalk {
namespace {

// A weight is rounded by h(v) = clamp(sigmoid(v) (kZeta - kGamma) + kGamma, 0, 1), 1 is up.
constexpr double kZeta = 1.1, kGamma = -0.1;
// Of the paper, but for kStrength: its error is not relative to that of nearest rounding.
constexpr double kFirstBeta = 20, kLastBeta = 2, kWarmUp = 0.2;
constexpr double kStrength = 10;
// A tenth of the paper's iterations, and ten times its rate: each sees all images.
constexpr int kIterations = 1000;
constexpr double kRate = 0.01;
constexpr double kSmallestUnit = 1e-20;                // below it there is nothing to gain
constexpr int64_t kWindowElements = int64_t{1} << 24;  // held at once

// w inputs v' for each channel, [G, C, 1].
torch::Tensor quadratic(const torch::Tensor& w, const torch::Tensor& inputs,
                        const torch::Tensor& v) {
  return (w.matmul(inputs) * v).sum(2, true);
}

// Adam (Kingma & Ba, 2015), with the usual constants.
class Adam {
 public:
  explicit Adam(const torch::Tensor& like)
      : mean_(torch::zeros_like(like)), square_(torch::zeros_like(like)) {}
  void step(torch::Tensor& values, const torch::Tensor& gradient) {
    ++steps_;
    mean_.lerp_(gradient, 0.1);
    square_.lerp_(gradient * gradient, 0.001);
    const double mean = 1 - std::pow(0.9, steps_), square = 1 - std::pow(0.999, steps_);
    values.sub_(kRate / mean * mean_ / ((square_ / square).sqrt_() + 1e-8));
  }

 private:
  torch::Tensor mean_, square_;
  int steps_ = 0;
};

// From the share of the iterations that are done: cosine annealing, none before the warm-up ends.
double beta_at(double share) {
  const double part = (share - kWarmUp) / (1 - kWarmUp);
  return kLastBeta + (kFirstBeta - kLastBeta) * 0.5 * (1 + std::cos(M_PI * part));
}

// The error of a layer around that of nearest rounding, in steps: with the integers h above
// `nearest`, and for each channel, (d inputs d' + 2 residual d') / unit, where d is h - nearest.
struct Problem {
  torch::Tensor nearest;   // [G, C, K], 0 or 1: over the integers below
  torch::Tensor inputs;    // [G, K, K]
  torch::Tensor residual;  // [G, C, K]
  torch::Tensor unit;      // [G, C, 1], so that rounding each weight costs 1
};

// Which weights to round up, [G, C, K] of bool, by soft rounding from the fractions above the
// integers below.
torch::Tensor ups(const torch::Tensor& fraction, const Problem& problem) {
  torch::Tensor v = -torch::log((kZeta - kGamma) / (fraction - kGamma) - 1);
  Adam adam(v);
  for (int i = 0; i < kIterations; ++i) {
    const torch::Tensor sigmoid = torch::sigmoid(v);
    const torch::Tensor stretched = sigmoid * (kZeta - kGamma) + kGamma;
    const torch::Tensor h = stretched.clamp(0, 1);
    torch::Tensor gradient =
        2 * ((h - problem.nearest).matmul(problem.inputs) + problem.residual) / problem.unit;
    if (const double share = double(i) / kIterations; share >= kWarmUp) {
      const double beta = beta_at(share);
      const torch::Tensor off_middle = 2 * h - 1;
      gradient -= 2 * kStrength * beta * off_middle.sign() * off_middle.abs().pow(beta - 1);
    }
    gradient *=
        (kZeta - kGamma) * sigmoid * (1 - sigmoid) * stretched.gt(0).logical_and_(stretched.lt(1));
    adam.step(v, gradient);
  }
  return v.ge(0);  // h(0) is 1/2
}

// The values of a network that runs op by op, in the form of QuantizedExecutor::values(), as long
// as they are read.
class StoredValues {
 public:
  explicit StoredValues(const QuantizedGraph& quantized) : quantized_(quantized) {
    const Graph& graph = quantized.graph;
    const std::vector<int> uses = use_counts(graph);
    last_use_.resize(graph.ops.size());
    values_.resize(graph.ops.size());
    for (size_t i = 0; i < graph.ops.size(); ++i) {
      is_part_.push_back(!quantized.values[i] && is_step_with_relu(graph, uses, int(i)));
      sources_.push_back(graph.ops[i].inputs);
      if (!sources_[i].empty() && is_part_[size_t(sources_[i][0])]) {
        sources_[i] = sources_[size_t(sources_[i][0])];
      }
      for (int source : sources_[i]) last_use_[size_t(source)] = i;
    }
  }

  // Runs the op on the values of its sources.
  void run(const QuantizedExecutor& executor, size_t op) {
    if (!is_part_[op]) {
      std::vector<torch::Tensor> inputs;
      for (int source : sources_[op]) inputs.push_back(values_[size_t(source)]);
      set(op, executor.value(int(op), inputs));
    }
    for (int source : sources_[op]) {
      if (last_use_[size_t(source)] == op) values_[size_t(source)].reset();
    }
  }
  void set(size_t op, torch::Tensor value) { values_[op] = std::move(value); }

  // In real units, of some images.
  torch::Tensor real(size_t op, int64_t first, int64_t count) const {
    const torch::Tensor value = values_[op].narrow(0, first, count).to(torch::kFloat);
    const auto& scale = quantized_.values[op];
    return scale ? (value - scale->zero_point) * scale->scale : value;
  }

 private:
  const QuantizedGraph& quantized_;
  std::vector<bool> is_part_;    // of the ReLU that reads it
  std::vector<Inputs> sources_;  // of each op: what it reads, or what its part does
  std::vector<size_t> last_use_;
  std::vector<torch::Tensor> values_;
};

// x [N, C, H, W] or [N, C] -> what each output multiplies, [G, K, N positions].
torch::Tensor windows(const Op& op, const torch::Tensor& x) {
  const Window window = window_of(op);
  const torch::Tensor columns =
      op.kind == OpKind::kLinear
          ? x.flatten(1).unsqueeze(2)
          : at::im2col(x.contiguous(), {op.kernel, op.kernel}, {1, 1},
                       {window.padding, window.padding}, {window.stride, window.stride});
  return columns.reshape({x.size(0), window.groups, -1, columns.size(2)})
      .permute({1, 2, 0, 3})
      .flatten(2);
}

// `y` is what the op gives in fp32, less its bias, [N, C, ...].
LayerMoments moments_of(const Op& op, size_t input, const StoredValues& values,
                        const torch::Tensor& y) {
  const int64_t images = y.size(0), groups = window_of(op).groups;
  const int64_t of_image = values.real(input, 0, 1).numel() * op.kernel * op.kernel;
  const int64_t at_once = std::max<int64_t>(1, kWindowElements / of_image);
  LayerMoments moments;
  for (int64_t first = 0; first < images; first += at_once) {
    const int64_t count = std::min(at_once, images - first);
    const torch::Tensor x = windows(op, values.real(input, first, count)).transpose(1, 2);
    const torch::Tensor own = y.narrow(0, first, count)
                                  .reshape({count, groups, y.size(1) / groups, -1})
                                  .permute({1, 2, 0, 3})
                                  .flatten(2);
    moments.count = x.size(1) / count * images;
    const double share = 1 / double(moments.count);
    const torch::Tensor inputs = x.transpose(1, 2).matmul(x).to(torch::kDouble) * share;
    const torch::Tensor products = own.matmul(x).to(torch::kDouble) * share;
    moments.inputs = first == 0 ? inputs : moments.inputs + inputs;
    moments.products = first == 0 ? products : moments.products + products;
  }
  return moments;
}

}  // namespace

torch::Tensor round_adaptively(const torch::Tensor& weight, const WeightScale& scale,
                               const LayerMoments& moments) {
  at::NoGradGuard no_grad;
  const torch::Tensor& inputs = moments.inputs;
  const std::vector<int64_t> shape{inputs.size(0), weight.size(0) / inputs.size(0), inputs.size(1)};
  const torch::Tensor step = torch::tensor(scale.scales)
                                 .to(torch::kDouble)
                                 .expand({weight.size(0)})
                                 .reshape({shape[0], shape[1], 1});
  const torch::Tensor exact = weight.to(torch::kDouble).reshape(shape) / step;
  const torch::Tensor below = exact.floor().clamp(-127, 126);
  const torch::Tensor fraction = (exact - below).clamp(0, 1);
  const torch::Tensor nearest = exact.round().clamp(-127, 127) - below;

  const double trust = double(moments.count) / double(moments.count + 2 * shape[2]);
  const torch::Tensor diagonal = torch::diag_embed(inputs.diagonal(0, 1, 2));
  const torch::Tensor expected = inputs * trust + diagonal * (1 - trust);
  const torch::Tensor error = nearest - fraction;
  const torch::Tensor unit = quadratic(error, expected, error) / double(shape[2]);
  // What is left of y by the fp32 weights, as their inputs differ.
  const torch::Tensor missing = moments.products / step - exact.matmul(inputs);
  const torch::Tensor residual = error.matmul(expected) - missing * trust;
  const torch::Tensor up =
      ups(fraction.to(torch::kFloat),
          {.nearest = nearest.to(torch::kFloat),
           .inputs = expected.to(torch::kFloat),
           .residual = residual.to(torch::kFloat),
           .unit = torch::where(unit.gt(kSmallestUnit), unit, 1.0).to(torch::kFloat)});

  const torch::Tensor change = up.to(torch::kDouble) - nearest;
  const torch::Tensor seen = error.matmul(inputs) - missing;
  const torch::Tensor gain = quadratic(change, inputs, change) + 2 * (seen * change).sum(2, true);
  return torch::where(gain.lt(0), below + nearest + change, below + nearest)
      .to(torch::kChar)
      .reshape(weight.sizes());
}

void round_adaptively(QuantizedNetwork& network, Network& folded,
                      const CalibrationBatches& batches) {
  at::NoGradGuard no_grad;
  const torch::Tensor images = first_images(batches, folded.graph);
  QuantizedExecutor executor(network);
  QuantizedGraph& quantized = network.quantized;
  StoredValues values(quantized);
  values.set(0, executor.value(0, {images}));
  Executor exact(folded.graph, folded.parameters);
  size_t next = 1;
  exact.observe([&](const Op& op, const torch::Tensor& value) {
    const size_t i = next++;
    if (auto& scale = quantized.weights[i]) {
      const auto own = [&](const char* suffix) {
        return folded.parameters.full(parameter_prefix(op) + suffix).cpu();
      };
      std::vector<int64_t> channels(size_t(value.dim()), 1);
      channels[1] = -1;
      const torch::Tensor y = op.bias ? value - own(".bias").view(channels) : value;
      torch::Tensor& weight = network.tensors.at(quantized.graph.ops[i].name + ".weight");
      weight =
          round_adaptively(own(".weight"), *scale, moments_of(op, size_t(op.inputs[0]), values, y));
      scale->rule += ", rounded for the least error of sums";
      executor.set_tensor(int(i), ".weight", weight);
    }
    values.run(executor, i);
  });
  exact.forward(images, NormMode::kRunning);
}

}  // namespace ridgewalk
