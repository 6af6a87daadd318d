// What a run's shared weights say of networks, with or without tuning them for each.
#pragma once

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "experiments/run/config.h"
#include "experiments/run/json.h"

namespace ridgewalk {

// What the shared weights give a network.
struct SharedJudgement {
  double top1 = 0, loss = 0;
};
void to_json(Json& json, const SharedJudgement& judgement);
void from_json(const Json& json, SharedJudgement& judgement);

struct SharedJudgeOptions {
  std::string weights;  // a file
  SupernetOptions supernet;
  int tune_steps = 0;  // that a copy of the weights trains on a network before it is judged
};

// Threads may use it at once.
class SharedJudge {
 public:
  // `space` and `data` must outlive it.
  SharedJudge(SharedJudgeOptions options, const SearchSpace& space, const Dataset& data,
              const Compute& compute);

  const ParameterStore& weights() { return supernet_->parameters(); }

  // How many networks are judged at a time: with tuning, where each has a copy of the weights, as
  // many as there are lanes; else one, whose evaluation runs in the lanes.
  int lanes() const { return options_.tune_steps > 0 ? compute_.lanes : 1; }

  // Throws Interrupted where the user interrupts or `stop` is requested.
  SharedJudgement operator()(const Decisions& network, const std::stop_token& stop = {}) const;

 private:
  std::unique_ptr<Supernet> loaded(const Compute& compute) const;

  SharedJudgeOptions options_;
  const SearchSpace& space_;
  const Dataset& data_;
  Compute compute_;
  std::unique_ptr<Supernet> supernet_;
  mutable std::mutex judging_;  // guards the supernet
};

}  // namespace ridgewalk
