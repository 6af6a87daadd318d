// A supernet as the search sees it.
#pragma once

#include "search/shared_weights.h"
#include "supernet/supernet.h"

namespace ridgewalk {

class SupernetWeights : public SharedWeights {
 public:
  explicit SupernetWeights(Supernet& supernet) : supernet_(supernet) {}

  double train(int step, std::span<const Decisions> samples) override {
    return supernet_.train(step, samples);
  }
  std::vector<double> accuracy(int step, std::span<const Decisions> samples) override {
    return supernet_.accuracy(step, samples);
  }
  double validate(const Decisions& sample) override { return supernet_.validate(sample); }

 private:
  Supernet& supernet_;
};

}  // namespace ridgewalk
