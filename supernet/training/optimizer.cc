#include "supernet/training/optimizer.h"

#include <cmath>
#include <numbers>

namespace ridgewalk {

OptimizerOptions default_options(OptimizerKind kind) {
  if (kind != OptimizerKind::kAdamW) return {.kind = kind};
  return {.kind = kind, .learning_rate = 0.004, .weight_decay = 0.05};
}

double schedule(int step, int steps, double warmup, double alpha) {
  const double warm_steps = std::max(1.0, warmup * steps);
  if (step < warm_steps) return (step + 1) / warm_steps;
  const double progress = (step - warm_steps) / std::max(1.0, steps - warm_steps);
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
  store_.collect_gradients();
  const double rate =
      options_.learning_rate * schedule(step, steps, options_.warmup, options_.cosine_alpha);
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

std::vector<std::pair<std::string, torch::Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, torch::Tensor>> state{
      {"optimizer.first_moment", first_moment_}};
  if (second_moment_.defined()) state.emplace_back(kSecondMoment, second_moment_);
  return state;
}

}  // namespace ridgewalk
