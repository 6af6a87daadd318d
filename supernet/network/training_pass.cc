#include "supernet/network/training_pass.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstring>
#include <optional>

#include "space/attention_tile.h"
#include "supernet/network/arena.h"
#include "supernet/network/dense_pass.h"
#include "supernet/network/depthwise_pass.h"
#include "supernet/network/operation.h"
#include "supernet/network/pointwise_pass.h"
#include "supernet/network/precision.h"
#include "supernet/network/sum_pass.h"
#include "supernet/network/training_plan.h"

namespace ridgewalk {
namespace {

constexpr size_t kReadBehind = 512;  // kernels may read behind the last number

using Parameters = std::vector<std::vector<torch::Tensor>>;

struct TrainingPass : torch::CustomClassHolder {
  virtual torch::Tensor forward(const torch::Tensor& images) = 0;
  // Of all parameters, by op; undefined where there is none.
  virtual Parameters backward(const torch::Tensor& grad) = 0;
};

// An op by LibTorch, with an autograd graph of its own.
struct Detour {
  std::vector<torch::Tensor> inputs, parameters;
  torch::Tensor output, map_gradient;  // the latter of a map of attention, which has no rows
};

// With values and gradients between ops in T.
template <class T>
class TypedPass : public TrainingPass {
 public:
  TypedPass(std::shared_ptr<const Graph> graph, Parameters own, const TrainingPassOptions& options,
            bool trains)
      : graph_(std::move(graph)), own_(std::move(own)), options_(options), trains_(trains) {}

  torch::Tensor forward(const torch::Tensor& images) override {
    prepare(images);
    for (size_t i = 1; i < count(); ++i) {
      switch (plan_.engines[i]) {
        case Engine::kOwn:
          compute(i);
          break;
        case Engine::kReader:
          if (op(i).kind == OpKind::kNorm) finish_norm(i);
          break;
        case Engine::kLibTorch:
          take_detour(i);
          break;
      }
    }
    return result();
  }

  Parameters backward(const torch::Tensor& grad) override {
    if (!arena_) throw std::logic_error("a training pass goes backward only once");
    Parameters gradients(count());
    for (size_t i = 0; i < count(); ++i) gradients[i].resize(own_[i].size());
    start_backward(grad);
    for (size_t i = count() - 1; i > 0; --i) {
      const size_t source = source_of(i);
      if (!has_gradient_[source]) continue;
      switch (plan_.engines[i]) {
        case Engine::kOwn:
          compute_backward(i, gradients[i]);
          break;
        case Engine::kReader:
          if (op(i).kind == OpKind::kNorm) finish_norm_gradient(i, gradients[i]);
          break;
        case Engine::kLibTorch:
          return_from_detour(i, gradients[i]);
          break;
      }
    }
    arena_.reset();
    return gradients;
  }

 private:
  static constexpr auto kType = std::is_same_v<T, float> ? torch::kFloat : torch::kBFloat16;

  size_t count() const { return graph_->ops.size(); }
  const Op& op(size_t i) const { return graph_->ops[i]; }
  size_t source_of(size_t i) const { return size_t(plan_.source[i]); }
  size_t input(size_t i, size_t k = 0) const { return source_of(size_t(op(i).inputs[k])); }

  void prepare(const torch::Tensor& images) {
    const int64_t batch = images.size(0);
    plan_ = plan_training(*graph_, options_.drop_seed != 0, trains_, batch, sizeof(T));
    std::vector<Tenancy> lifetimes = plan_.values;
    lifetimes.insert(lifetimes.end(), plan_.gradients.begin(), plan_.gradients.end());
    const Placement placement = place(lifetimes);
    arena_.emplace(placement.bytes + kReadBehind);
    rows_.resize(count());
    norms_.resize(count());
    detours_.resize(count());
    has_gradient_.assign(count(), false);
    awaited_.assign(count(), 0);
    for (size_t i = 0; i < count(); ++i) {
      const Shape& shape = op(i).output;
      OpRows<T>& rows = rows_[i];
      rows = {.images = batch,
              .height = shape.height,
              .width = shape.width,
              .channels = shape.channels};
      const auto at = [&](size_t index) {
        return lifetimes[index].bytes == 0
                   ? nullptr
                   : reinterpret_cast<T*>(arena_->at(placement.offsets[index]));
      };
      rows.x = at(i);
      rows.gradient = at(count() + i);
      awaited_[i] = plan_.readers[i].size();
      if (plan_.norms[i].op < 0) continue;
      norms_[i].emplace(rows.rows(), rows.channels, plan_.norms[i].relu);
      rows.norm = &*norms_[i];
    }
    images_ = images;
    in_order_ = images.permute({0, 2, 3, 1}).to(kType).contiguous();
    rows_[0].x = numbers(in_order_);
  }

  static T* numbers(const torch::Tensor& x) { return static_cast<T*>(x.data_ptr()); }

  void compute(size_t i) {
    const OpRows<T>&in = rows_[input(i)], &out = rows_[i];
    switch (op(i).kind) {
      case OpKind::kConv:
        if (op(i).kernel > 1 || op(i).stride > 1) {
          dense(in, own_[i][0], op(i).stride, out);
        } else {
          pointwise(in, own_[i][0], out);
        }
        break;
      case OpKind::kLinear:
        pointwise(in, own_[i][0], out);
        break;
      case OpKind::kDepthwise:
        return depthwise(in, own_[i][0], op(i).stride, out);
      case OpKind::kAdd:
        return sum(in, rows_[input(i, 1)], out);
      case OpKind::kActivation:
        return activate(in, op(i).activation, out);
      case OpKind::kPool:
        return pool(in, out);
      default:
        throw std::logic_error("no pass computes " + op(i).name);
    }
    if (op(i).bias) add_bias(own_[i][1], out);
  }

  void finish_norm(size_t i) {
    const auto& own = own_[i];
    const bool keeps = options_.keeps_statistics;
    const torch::Tensor none;
    norms_[source_of(i)]->finish(
        {own[0].detach(), own[1].detach(), keeps ? own[2] : none, keeps ? own[3] : none},
        graph_->norm.momentum, graph_->norm.epsilon);
  }

  // What readers of an op see, as a tensor.
  torch::Tensor seen(size_t source) const {
    if (source == 0) return images_;
    if (detours_[source].output.defined()) return detours_[source].output.detach();
    const OpRows<T>& rows = rows_[source];
    const auto y = torch::empty({rows.images, rows.height, rows.width, rows.channels}, kType);
    read_all(rows, numbers(y));
    const torch::Tensor image = y.permute({0, 3, 1, 2});
    return op(source).kind == OpKind::kLinear ? image.flatten(1) : image;
  }

  void take_detour(size_t i) {
    Detour& detour = detours_[i];
    const at::AutoGradMode with_gradients(trains_);
    for (size_t k = 0; k < op(i).inputs.size(); ++k) {
      const size_t from = input(i, k);
      detour.inputs.push_back(
          seen(from).detach().set_requires_grad(trains_ && plan_.needs_gradient[from]));
    }
    for (const torch::Tensor& own : own_[i]) {
      detour.parameters.push_back(own.detach().set_requires_grad(trains_ && own.requires_grad()));
    }
    const bool keeps = options_.keeps_statistics;
    const uint64_t seed = options_.drop_seed;
    torch::Tensor y = run_op(op(i), detour.parameters, detour.inputs,
                             {.constants = graph_->norm,
                              .norm = keeps ? NormMode::kTraining : NormMode::kBatch,
                              .drop_seed = seed == 0 ? 0 : seed + i});
    if (y.dim() == 4) {
      y = y.to(kType).contiguous(torch::MemoryFormat::ChannelsLast);
    } else if (y.dim() == 2) {
      y = y.to(kType).contiguous();
    }
    detour.output = y;
    if (y.dim() != 3) rows_[i].x = numbers(y);
  }

  torch::Tensor result() const {
    const torch::Tensor last = seen(source_of(count() - 1));
    return last.detach();
  }

  // The gradient of what readers of a source see, as they see it.
  torch::Tensor gradient_tensor(size_t source) const {
    const OpRows<T>& rows = rows_[source];
    const torch::Tensor g =
        torch::from_blob(rows.gradient, {rows.images, rows.height, rows.width, rows.channels},
                         kType)
            .permute({0, 3, 1, 2});
    return op(source).kind == OpKind::kLinear ? g.flatten(1) : g;
  }

  void contribute(size_t source, const torch::Tensor& grad) {
    if (rows_[source].gradient == nullptr) {
      torch::Tensor& sum = detours_[source].map_gradient;
      sum = has_gradient_[source] ? sum + grad : grad;
    } else if (has_gradient_[source]) {
      gradient_tensor(source).add_(grad);
    } else {
      gradient_tensor(source).copy_(grad);
    }
    has_gradient_[source] = true;
  }

  void start_backward(const torch::Tensor& grad) {
    const size_t last = source_of(count() - 1);
    if (plan_.needs_gradient[last]) contribute(last, grad);
  }

  // How the gradient of an op's input is to be left.
  Contribution contribution(size_t source) {
    Contribution own{.wanted = plan_.needs_gradient[source],
                     .adds = has_gradient_[source],
                     .completes = --awaited_[source] == 0};
    if (own.wanted) has_gradient_[source] = true;
    return own;
  }

  void compute_backward(size_t i, std::vector<torch::Tensor>& gradients) {
    const OpRows<T>& out = rows_[i];
    const size_t from = input(i);
    const OpRows<T>& in = rows_[from];
    switch (op(i).kind) {
      case OpKind::kConv:
      case OpKind::kLinear:
        if (op(i).bias) gradients[1] = bias_gradient(out);
        gradients[0] = op(i).kernel > 1 || op(i).stride > 1
                           ? dense_backward(in, own_[i][0], op(i).stride, out, contribution(from))
                           : pointwise_backward(in, own_[i][0], out, contribution(from));
        return;
      case OpKind::kDepthwise:
        gradients[0] = depthwise_backward(in, own_[i][0], op(i).stride, out, contribution(from));
        return;
      case OpKind::kAdd:
        for (size_t k = 0; k < 2; ++k) {
          const size_t one = input(i, k);
          sum_backward(rows_[one], out, contribution(one));
        }
        return;
      case OpKind::kActivation:
        return activate_backward(in, op(i).activation, out, contribution(from));
      case OpKind::kPool:
        return pool_backward(in, out, contribution(from));
      default:
        throw std::logic_error("no pass computes " + op(i).name);
    }
  }

  void finish_norm_gradient(size_t i, std::vector<torch::Tensor>& gradients) {
    NormPass& norm = *norms_[source_of(i)];
    const auto [of_weight, of_bias] = norm.finish_gradient();
    gradients[0] = of_weight;
    gradients[1] = of_bias;
  }

  void return_from_detour(size_t i, std::vector<torch::Tensor>& gradients) {
    Detour& detour = detours_[i];
    const bool is_map = rows_[i].gradient == nullptr;
    const torch::Tensor grad =
        is_map ? detour.map_gradient : gradient_tensor(i).to(detour.output.scalar_type());
    std::vector<torch::Tensor> wanted;
    for (const auto* list : {&detour.inputs, &detour.parameters}) {
      for (const torch::Tensor& one : *list) {
        if (one.requires_grad()) wanted.push_back(one);
      }
    }
    const auto found =
        torch::autograd::grad({detour.output}, wanted, {grad}, c10::nullopt, false, true);
    auto next = found.begin();
    for (size_t k = 0; k < detour.inputs.size(); ++k) {
      if (!detour.inputs[k].requires_grad()) continue;
      const size_t from = input(i, k);
      const torch::Tensor& own = *next++;
      const Contribution how = contribution(from);
      has_gradient_[from] = how.adds;
      if (own.defined()) contribute(from, own);
      if (how.completes) complete(rows_[from]);
    }
    for (size_t k = 0; k < detour.parameters.size(); ++k) {
      if (detour.parameters[k].requires_grad()) gradients[k] = *next++;
    }
    detour = {};
  }

  std::shared_ptr<const Graph> graph_;
  Parameters own_;  // by op
  TrainingPassOptions options_;
  bool trains_;
  TrainingPlan plan_;
  std::optional<Arena> arena_;
  torch::Tensor images_, in_order_;  // the latter as rows of T
  // By source.
  std::vector<OpRows<T>> rows_;
  std::vector<std::optional<NormPass>> norms_;
  std::vector<Detour> detours_;
  std::vector<bool> has_gradient_;
  std::vector<size_t> awaited_;  // readers that have not contributed
};

c10::intrusive_ptr<TrainingPass> make_pass(const std::shared_ptr<const Graph>& graph,
                                           const Parameters& parameters,
                                           const TrainingPassOptions& options, bool trains) {
  if (computes_in_bf16(torch::kCPU)) {
    return c10::make_intrusive<TypedPass<Bf16>>(graph, parameters, options, trains);
  }
  return c10::make_intrusive<TypedPass<float>>(graph, parameters, options, trains);
}

// A training pass as one node of autograd.
struct PassNode : torch::autograd::Function<PassNode> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& images, const at::TensorList& /*parameters*/,
                               const c10::intrusive_ptr<TrainingPass>& pass) {
    context->saved_data["pass"] = c10::IValue::make_capsule(pass);
    return pass->forward(images);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto capsule = context->saved_data["pass"].toCapsule();
    auto& pass = static_cast<TrainingPass&>(*capsule);
    torch::autograd::variable_list all{torch::Tensor()};
    for (auto& own : pass.backward(grads[0])) {
      for (auto& gradient : own) all.push_back(std::move(gradient));
    }
    all.emplace_back();
    return all;
  }
};

}  // namespace

bool can_train(const Graph& graph, const std::vector<std::vector<torch::Tensor>>& parameters,
               const torch::Tensor& images) {
  const Shape& shape = graph.ops[0].output;
  const auto fits = [](const torch::Tensor& x) {
    return x.device().is_cpu() && x.scalar_type() == torch::kFloat;
  };
  if (!fits(images) || images.requires_grad() || images.dim() != 4 || images.size(0) == 0 ||
      images.size(1) != shape.channels || images.size(2) != shape.height ||
      images.size(3) != shape.width) {
    return false;
  }
  for (const Op& op : graph.ops) {
    if (op.kind == OpKind::kAttentionScores && is_tiled(op, images.size(0))) return false;
  }
  for (const auto& own : parameters) {
    for (const torch::Tensor& one : own) {
      if (!fits(one)) return false;
    }
  }
  return true;
}

torch::Tensor run_training_pass(const std::shared_ptr<const Graph>& graph,
                                const std::vector<std::vector<torch::Tensor>>& parameters,
                                const torch::Tensor& images, const TrainingPassOptions& options) {
  const bool trains = torch::GradMode::is_enabled();
  const auto pass = make_pass(graph, parameters, options, trains);
  if (!trains) return pass->forward(images);
  std::vector<torch::Tensor> all;
  for (const auto& own : parameters) all.insert(all.end(), own.begin(), own.end());
  return PassNode::apply(images, at::TensorList(all), pass);
}

}  // namespace ridgewalk
