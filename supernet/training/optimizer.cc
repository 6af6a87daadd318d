#include "supernet/training/optimizer.h"

#include <cmath>
#include <numbers>

#include <ATen/Parallel.h>

#include "supernet/kernels/optimizer_kernel.h"

namespace ridgewalk {

OptimizerOptions default_options(OptimizerKind kind) {
  if (kind != OptimizerKind::kAdamW) return {.kind = kind};
  return {.kind = kind, .learning_rate = 0.004, .weight_decay = 0.05};
}

double schedule(int step, int steps, double warmup, double alpha, double constant_end) {
  const double warm_steps = std::max(1.0, warmup * steps);
  if (step < warm_steps) return (step + 1) / warm_steps;
  const double falling_steps = std::max(1.0, (1 - constant_end) * steps - warm_steps);
  const double progress = std::min(1.0, (step - warm_steps) / falling_steps);
  return alpha + (1 - alpha) * (0.5 * (1 + std::cos(std::numbers::pi * progress)));
}

void update_average(torch::Tensor average, const torch::Tensor& values, double decay, int updates) {
  at::NoGradGuard no_grad;
  average.lerp_(values, 1 - std::min(decay, (1.0 + updates) / (10.0 + updates)));
}

Optimizer::Optimizer(ParameterStore& store, const OptimizerOptions& options)
    : store_(store), options_(options), first_moment_(torch::zeros_like(store.grads())) {
  if (options.kind == OptimizerKind::kAdamW) second_moment_ = torch::zeros_like(store.grads());
  // TensorFlow 1's RMSPropOptimizer, which TuNAS uses, starts from 1.
  if (options.kind == OptimizerKind::kRmsProp) second_moment_ = torch::ones_like(store.grads());
}

void Optimizer::step(int step, int steps) {
  at::NoGradGuard no_grad;
  const double rate =
      options_.learning_rate *
      schedule(step, steps, options_.warmup, options_.cosine_alpha, options_.constant_end);
  torch::Tensor values = store_.values().narrow(0, 0, store_.learned());
  torch::Tensor grads = store_.grads();
  const torch::Tensor used =
      options_.l2 > 0 || options_.weight_decay > 0 ? store_.used() : torch::Tensor();
  if (options_.l2 > 0) {
    const torch::Tensor weights = values.narrow(0, 0, store_.decayed());
    grads.narrow(0, 0, store_.decayed()).add_(weights * used, options_.l2);
  }
  if (options_.clip_norm > 0) {
    // A tensor, which a GPU need not be waited for.
    const torch::Tensor norm = grads.norm().to(torch::kDouble);
    grads.mul_(torch::full_like(norm, options_.clip_norm).div_(norm).clamp_max_(1));
  }
  if (values.device().is_cpu()) return update(rate, step, used);
  if (options_.weight_decay > 0) {
    torch::Tensor factor = torch::ones({store_.decayed()}, values.options());
    factor.masked_fill_(used, 1 - rate * options_.weight_decay);
    values.narrow(0, 0, store_.decayed()).mul_(factor);
  }
  switch (options_.kind) {
    case OptimizerKind::kSgd:
      first_moment_.mul_(options_.momentum).add_(grads);
      values.add_(grads, -rate).add_(first_moment_, -rate * options_.momentum);
      break;
    case OptimizerKind::kRmsProp:
      second_moment_.mul_(options_.decay).addcmul_(grads, grads, 1 - options_.decay);
      first_moment_.mul_(options_.momentum)
          .addcdiv_(grads, (second_moment_ + options_.epsilon).sqrt_(), rate);
      values.sub_(first_moment_);
      break;
    case OptimizerKind::kAdamW: {
      first_moment_.mul_(options_.momentum).add_(grads, 1 - options_.momentum);
      second_moment_.mul_(options_.decay).addcmul_(grads, grads, 1 - options_.decay);
      const double bias1 = 1 - std::pow(options_.momentum, step + 1);
      const double bias2 = 1 - std::pow(options_.decay, step + 1);
      const auto denominator = (second_moment_ / bias2).sqrt_().add_(options_.epsilon);
      values.addcdiv_(first_moment_, denominator, -rate / bias1);
      break;
    }
  }
  grads.zero_();
}

// One pass over values, gradients and moments in place of one for each operation.
void Optimizer::update(double rate, int step, const torch::Tensor& used) {
  const UpdateFactors factors{.rate = rate,
                              .shrink = 1 - rate * options_.weight_decay,
                              .momentum = options_.momentum,
                              .decay = options_.decay,
                              .epsilon = options_.epsilon,
                              .bias1 = 1 - std::pow(options_.momentum, step + 1),
                              .bias2 = 1 - std::pow(options_.decay, step + 1)};
  const bool* decays = options_.weight_decay > 0 ? used.data_ptr<bool>() : nullptr;
  float* values = store_.values().data_ptr<float>();
  float* grads = store_.grads().data_ptr<float>();
  float* first = first_moment_.data_ptr<float>();
  float* second = second_moment_.defined() ? second_moment_.data_ptr<float>() : nullptr;
  const auto run = [&](int64_t begin, int64_t end, const bool* shrinks) {
    const UpdatePart part{.values = values + begin,
                          .grads = grads + begin,
                          .first = first + begin,
                          .second = second == nullptr ? nullptr : second + begin,
                          .decays = shrinks,
                          .count = end - begin};
    switch (options_.kind) {
      case OptimizerKind::kSgd:
        return update_sgd(factors, part);
      case OptimizerKind::kRmsProp:
        return update_rms_prop(factors, part);
      case OptimizerKind::kAdamW:
        return update_adam_w(factors, part);
    }
  };
  constexpr int64_t kGrain = 32768;  // numbers that are worth a thread
  at::parallel_for(0, store_.decayed(), kGrain, [&](int64_t begin, int64_t end) {
    run(begin, end, decays == nullptr ? nullptr : decays + begin);
  });
  at::parallel_for(store_.decayed(), store_.learned(), kGrain,
                   [&](int64_t begin, int64_t end) { run(begin, end, nullptr); });
}

std::vector<std::pair<std::string, torch::Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, torch::Tensor>> state{
      {"optimizer.first_moment", first_moment_}};
  if (second_moment_.defined()) state.emplace_back(kSecondMoment, second_moment_);
  return state;
}

}  // namespace ridgewalk
