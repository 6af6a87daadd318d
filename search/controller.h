// The distribution over architectures that a search learns (TuNAS, section 3 and controller.py).
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <Eigen/Core>

#include "space/decisions.h"

namespace ridgewalk {

struct ControllerOptions {
  double learning_rate = 0.005;
  double learning_rate_growth = 10;  // the rate is multiplied by growth^progress
  double baseline_momentum = 0.95;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  bool operator==(const ControllerOptions&) const = default;
};

// An independent categorical distribution per choice, with logits that start at zero. Inactive
// choices of a sample do not count in its probability and get no gradient from it.
class Controller {
 public:
  Controller(const SearchSpace& space, const ControllerOptions& options);

  Decisions sample(std::mt19937_64& random) const;
  double log_probability(const Decisions& decisions) const;
  std::vector<std::vector<double>> probabilities() const;  // [choice][option]

  // REINFORCE: the gradient of -(reward - baseline) * log p, averaged over the samples. The
  // baseline is a bias-corrected moving average that includes the mean reward of this step. The
  // optimiser is Adam without a first moment; its second moment averages the squared gradients of
  // the samples (TuNAS squares before it averages). `progress` in [0, 1] scales the learning rate.
  void update(std::span<const Decisions> samples, std::span<const double> rewards, double progress);
  // Updates only the baseline, before the logits are trained.
  void observe(std::span<const double> rewards);
  double baseline() const;

  // The most probable option of every choice; the first among equals.
  Decisions most_probable() const;
  // The `count` most probable different architectures, most probable first.
  std::vector<Decisions> most_probable(int count) const;

  // Everything that the next update depends on, as text that restores the same bits.
  std::string state() const;
  // Throws Error when the text is not the state of a controller of this space.
  void restore(const std::string& state);

 private:
  Eigen::ArrayXd log_softmax(int choice) const;
  Eigen::Map<const Eigen::ArrayXd> logits_of(int choice) const;
  std::vector<std::vector<int>> options_by_rank() const;  // of each choice, the most probable first

  SearchSpace space_;
  ChoiceLayout layout_;
  ControllerOptions options_;
  std::vector<int> first_;  // index of the first logit of each choice, and the number of logits
  Eigen::ArrayXd logits_;
  Eigen::ArrayXd second_moment_;
  int64_t updates_ = 0;
  double baseline_sum_ = 0;     // moving average of the rewards before bias correction
  double baseline_weight_ = 0;  // the same average for rewards of 1
};

}  // namespace ridgewalk
