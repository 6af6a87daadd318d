// A supernet as the search sees it.
#pragma once

#include <functional>
#include <utility>

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
  double validate(const Decisions& sample) override { return supernet_.validate(sample).top1; }

 private:
  Supernet& supernet_;
};

// Records the answers of validate(). A caller that asks the same again, as a resumed search does,
// gets the known answers first; all answers go to `after_each` whenever there is a new one.
class RecordedWeights : public SharedWeights {
 public:
  RecordedWeights(SharedWeights& weights, std::vector<double> known,
                  std::function<void(const std::vector<double>&)> after_each)
      : weights_(weights), known_(std::move(known)), after_each_(std::move(after_each)) {}

  double train(int step, std::span<const Decisions> samples) override {
    return weights_.train(step, samples);
  }
  std::vector<double> accuracy(int step, std::span<const Decisions> samples) override {
    return weights_.accuracy(step, samples);
  }
  double validate(const Decisions& sample) override {
    if (next_ == known_.size()) {
      known_.push_back(weights_.validate(sample));
      after_each_(known_);
    }
    return known_[next_++];
  }

 private:
  SharedWeights& weights_;
  std::vector<double> known_;
  size_t next_ = 0;
  std::function<void(const std::vector<double>&)> after_each_;
};

}  // namespace ridgewalk
