#include "experiments/evidence/shared_judge.h"

#include <chrono>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "experiments/run/interrupt.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

SharedJudgeOptions checked(SharedJudgeOptions options) {
  if (options.in_int8 && options.supernet.calibration_images > 0) {
    throw Error(options.weights, 0,
                "is judged by the statistics of calibration_images, which are those of networks in "
                "fp32; leave --quantized out, or rank a run without calibration_images");
  }
  return options;
}

}  // namespace

void to_json(Json& json, const SharedJudgement& judgement) {
  json = {{"top1", judgement.top1}, {"loss", judgement.loss}, {"proxies", Json::object()}};
  if (judgement.int8_top1) json["int8_top1"] = *judgement.int8_top1;
  for (const auto& [name, proxy] : judgement.proxies) {
    json["proxies"][name] = {{"value", proxy.value}, {"seconds", proxy.seconds}};
  }
}

void from_json(const Json& json, SharedJudgement& judgement) {
  json.at("top1").get_to(judgement.top1);
  judgement.loss = number_or_nan(json.at("loss"));
  if (json.contains("int8_top1")) json.at("int8_top1").get_to(judgement.int8_top1.emplace());
  for (const auto& [name, proxy] : json.at("proxies").items()) {
    judgement.proxies[name] = {number_or_nan(proxy.at("value")), proxy.at("seconds")};
  }
}

SharedJudge::SharedJudge(SharedJudgeOptions options, const SearchSpace& space, const Dataset& data,
                         const Compute& compute)
    : options_(checked(std::move(options))),
      space_(space),
      data_(data),
      compute_(compute),
      supernet_(loaded(compute)),
      proxies_(data, options_.seed) {}

SharedJudgement SharedJudge::operator()(const Decisions& network,
                                        const std::stop_token& stop) const {
  SharedJudgement judgement = by_weights(network, stop);
  if (options_.with_proxies) add_proxies(network, judgement);
  return judgement;
}

void SharedJudge::add_proxies(const Decisions& network, SharedJudgement& judgement) const {
  const Graph graph = lower(decode(space_, network));
  for (Proxy which : kValues<Proxy>) {
    const auto start = std::chrono::steady_clock::now();
    const double value = proxies_(which, graph);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    judgement.proxies[std::string(to_string(which))] = {value, seconds.count()};
  }
}

SharedJudgement SharedJudge::judged(Supernet& supernet, const Decisions& network) const {
  const Accuracy accuracy = supernet.validate(network);
  require_finite(accuracy, options_.weights);
  SharedJudgement judgement{accuracy.top1, accuracy.loss};
  if (options_.in_int8) judgement.int8_top1 = supernet.validate_rounded(network).top1;
  return judgement;
}

SharedJudgement SharedJudge::by_weights(const Decisions& network,
                                        const std::stop_token& stop) const {
  if (options_.tune_steps == 0) {
    const std::lock_guard lock(judging_);
    return judged(*supernet_, network);
  }
  Compute own = compute_;
  own.lanes = 1;
  const auto copy = loaded(own);
  for (int step = 0; step < options_.tune_steps; ++step) {
    if (interrupted() || stop.stop_requested()) throw Interrupted();
    if (!std::isfinite(copy->train(step, {&network, 1}))) {
      throw std::runtime_error(fmt::format(
          "the loss is not finite at tuning step {}; take fewer --tune-steps", step + 1));
    }
  }
  return judged(*copy, network);
}

std::unique_ptr<Supernet> SharedJudge::loaded(const Compute& compute) const {
  auto supernet = std::make_unique<Supernet>(space_, data_, options_.supernet, compute);
  load_weights_for(data_, options_.weights, supernet->parameters());
  return supernet;
}

}  // namespace ridgewalk
