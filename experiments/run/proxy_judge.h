// Networks judged by training-free proxies (supernet/training/proxies.h), all on the same images
// with the same seed.
#pragma once

#include "supernet/data/dataset.h"
#include "supernet/training/proxies.h"

namespace ridgewalk {

// Threads may use it at once.
class ProxyJudge {
 public:
  // On 64 training images, or all if there are fewer. `data` must outlive it.
  ProxyJudge(const Dataset& data, uint64_t seed);

  double operator()(Proxy which, const Graph& network) const;

 private:
  uint64_t seed_;
  Batch batch_;
};

}  // namespace ridgewalk
