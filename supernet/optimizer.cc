#include "supernet/optimizer.h"

#include <cmath>
#include <numbers>

#include "space/error.h"

namespace ridgewalk {

OptimizerKind optimizer_named(const std::string& name) {
  if (name == "sgd") return OptimizerKind::kSgd;
  if (name == "rmsprop") return OptimizerKind::kRmsProp;
  if (name == "adamw") return OptimizerKind::kAdamW;
  throw Error("no optimizer is named '" + name + "'; there are sgd, rmsprop, adamw");
}

double schedule(int step, int steps, double warmup) {
  const double warm_steps = std::max(1.0, warmup * steps);
  if (step < warm_steps) return (step + 1) / warm_steps;
  const double progress = (step - warm_steps) / std::max(1.0, steps - warm_steps);
  return 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

Optimizer::Optimizer(ParameterStore& store, const OptimizerOptions& options)
    : store_(store), options_(options), first_moment_(torch::zeros_like(store.grads())) {
  if (options.kind != OptimizerKind::kSgd) second_moment_ = torch::zeros_like(store.grads());
}

void Optimizer::step(int step, int steps) {
  torch::NoGradGuard no_grad;
  store_.collect_gradients();
  const double rate = options_.learning_rate * schedule(step, steps, options_.warmup);
  torch::Tensor values = store_.values().narrow(0, 0, store_.learned());
  torch::Tensor grads = store_.grads();
  if (options_.weight_decay > 0) {
    values.narrow(0, 0, store_.decayed()).mul_(1 - rate * options_.weight_decay);
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
  if (second_moment_.defined()) state.emplace_back("optimizer.second_moment", second_moment_);
  return state;
}

}  // namespace ridgewalk
