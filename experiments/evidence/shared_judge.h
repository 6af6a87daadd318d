// What a run's shared weights say of networks, with or without tuning them for each, and what
// training-free proxies say.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "experiments/run/config.h"
#include "experiments/run/json.h"
#include "experiments/run/network_record.h"
#include "experiments/run/proxy_judge.h"

namespace ridgewalk {

// What the shared weights give a network, and the proxies (supernet/training/proxies.h), with the
// seconds that each took.
struct SharedJudgement {
  double top1 = 0, loss = 0;
  std::optional<double> int8_top1 = {};  // rounded as int8 would be, where that was asked for
  std::map<std::string, ProxyValue> proxies = {};
};
void to_json(Json& json, const SharedJudgement& judgement);
void from_json(const Json& json, SharedJudgement& judgement);

struct SharedJudgeOptions {
  std::string weights;  // a file
  SupernetOptions supernet;
  int tune_steps = 0;    // that a copy of the weights trains on a network before it is judged
  uint64_t seed = 0;     // of the proxies' weights and images
  bool in_int8 = false;  // judges each network in int8, too
  bool with_proxies = true;
};

// Threads may use it at once.
class SharedJudge {
 public:
  // `space` and `data` must outlive it. Throws Error where networks that are judged in int8 should
  // be calibrated, or for weights that do not fit.
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
  SharedJudgement judged(Supernet& supernet, const Decisions& network) const;
  SharedJudgement by_weights(const Decisions& network, const std::stop_token& stop) const;
  void add_proxies(const Decisions& network, SharedJudgement& judgement) const;

  SharedJudgeOptions options_;
  const SearchSpace& space_;
  const Dataset& data_;
  Compute compute_;
  std::unique_ptr<Supernet> supernet_;
  ProxyJudge proxies_;
  mutable std::mutex judging_;  // guards the supernet
};

}  // namespace ridgewalk
