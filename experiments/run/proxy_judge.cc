#include "experiments/run/proxy_judge.h"

#include <algorithm>

#include "supernet/training/evaluate.h"

namespace ridgewalk {
namespace {

Batch images_to_judge_on(const Dataset& data, uint64_t seed) {
  constexpr int64_t kImages = 64;
  BatchOrder order(data.train.size(), std::min(kImages, data.train.size()), seed);
  return make_evaluation_batch(data, data.train, order.indices(0));
}

}  // namespace

ProxyJudge::ProxyJudge(const Dataset& data, uint64_t seed)
    : seed_(seed), batch_(images_to_judge_on(data, seed)) {}

double ProxyJudge::operator()(Proxy which, const Graph& network) const {
  Batch batch = batch_;
  batch.images = network_input(batch.images, network, torch::kCPU);
  return proxy(which, network, batch, seed_);
}

}  // namespace ridgewalk
