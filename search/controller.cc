#include "search/controller.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "space/error.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

std::vector<double> to_vector(const Eigen::ArrayXd& array) {
  return {array.data(), array.data() + array.size()};
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
}

// Uniform in [0, 1) from 53 bits: the same on every platform.
double uniform(std::mt19937_64& random) { return double(random() >> 11) * 0x1p-53; }

}  // namespace

Controller::Controller(const SearchSpace& space, const ControllerOptions& options)
    : space_(space), layout_(choice_layout(space)), options_(options), first_{0} {
  for (const Choice& choice : choices(space)) {
    first_.push_back(first_.back() + static_cast<int>(choice.options.size()));
  }
  logits_ = Eigen::ArrayXd::Zero(first_.back());
  second_moment_ = Eigen::ArrayXd::Zero(first_.back());
}

Eigen::Map<const Eigen::ArrayXd> Controller::logits_of(int choice) const {
  return {logits_.data() + first_[choice], first_[choice + 1] - first_[choice]};
}

Eigen::ArrayXd Controller::log_softmax(int choice) const {
  const Eigen::ArrayXd shifted = logits_of(choice) - logits_of(choice).maxCoeff();
  return shifted - std::log(shifted.exp().sum());
}

Decisions Controller::sample(std::mt19937_64& random) const {
  Decisions decisions(layout_.count);
  for (int c = 0; c < layout_.count; ++c) {
    const Eigen::ArrayXd probability = log_softmax(c).exp();
    const double draw = uniform(random);
    double cumulative = 0;
    int option = 0;
    for (; option < probability.size() - 1; ++option) {
      cumulative += probability[option];
      if (draw < cumulative) break;
    }
    decisions[c] = option;
  }
  deactivate_unused(space_, layout_, decisions);
  return decisions;
}

double Controller::log_probability(const Decisions& decisions) const {
  double sum = 0;
  for (int c = 0; c < layout_.count; ++c) {
    if (decisions[c] >= 0) sum += log_softmax(c)[decisions[c]];
  }
  return sum;
}

std::vector<std::vector<double>> Controller::probabilities() const {
  std::vector<std::vector<double>> result;
  for (int c = 0; c < layout_.count; ++c) result.push_back(to_vector(log_softmax(c).exp()));
  return result;
}

void Controller::observe(std::span<const double> rewards) {
  const double momentum = options_.baseline_momentum;
  baseline_sum_ = momentum * baseline_sum_ + (1 - momentum) * mean(rewards);
  baseline_weight_ = momentum * baseline_weight_ + (1 - momentum);
}

double Controller::baseline() const {
  return baseline_weight_ > 0 ? baseline_sum_ / baseline_weight_ : 0;
}

void Controller::update(std::span<const Decisions> samples, std::span<const double> rewards,
                        double progress) {
  observe(rewards);
  std::vector<Eigen::ArrayXd> probability;
  for (int c = 0; c < layout_.count; ++c) probability.push_back(log_softmax(c).exp());
  Eigen::ArrayXd gradient_mean = Eigen::ArrayXd::Zero(logits_.size());
  Eigen::ArrayXd square_mean = gradient_mean;
  Eigen::ArrayXd gradient(logits_.size());
  for (size_t k = 0; k < samples.size(); ++k) {
    // d/dlogits of -advantage * log p is advantage * (p - onehot), active choices only.
    const double advantage = rewards[k] - baseline();
    gradient.setZero();
    for (int c = 0; c < layout_.count; ++c) {
      const int option = samples[k][c];
      if (option < 0) continue;
      gradient.segment(first_[c], probability[c].size()) = advantage * probability[c];
      gradient[first_[c] + option] -= advantage;
    }
    gradient_mean += gradient / double(samples.size());
    square_mean += gradient.square() / double(samples.size());
  }
  ++updates_;
  second_moment_ = options_.beta2 * second_moment_ + (1 - options_.beta2) * square_mean;
  const double bias = 1 - std::pow(options_.beta2, double(updates_));
  const double rate = options_.learning_rate * std::pow(options_.learning_rate_growth, progress);
  logits_ -= rate * gradient_mean / ((second_moment_ / bias).sqrt() + options_.epsilon);
}

Decisions Controller::most_probable() const {
  Decisions decisions(layout_.count);
  for (int c = 0; c < layout_.count; ++c) logits_of(c).maxCoeff(&decisions[c]);
  deactivate_unused(space_, layout_, decisions);
  return decisions;
}

std::vector<Decisions> Controller::most_probable(int count) const {
  // Best first over ranks: rank r of a choice is its r-th most probable option. A state's
  // successors demote one choice by one rank, none before the last one demoted, so each is reached
  // once.
  std::vector<std::vector<int>> order(layout_.count);
  std::vector<Eigen::ArrayXd> log_p(layout_.count);
  for (int c = 0; c < layout_.count; ++c) {
    log_p[c] = log_softmax(c);
    order[c].resize(log_p[c].size());
    std::iota(order[c].begin(), order[c].end(), 0);
    std::stable_sort(order[c].begin(), order[c].end(),
                     [&](int a, int b) { return log_p[c][a] > log_p[c][b]; });
  }
  struct State {
    double log_probability;
    std::vector<int> ranks;
    int last;  // choice demoted last
    bool operator<(const State& other) const {
      return std::tie(log_probability, other.ranks) < std::tie(other.log_probability, ranks);
    }
  };
  const auto full_log_probability = [&](const std::vector<int>& ranks) {
    double sum = 0;
    for (int c = 0; c < layout_.count; ++c) sum += log_p[c][order[c][ranks[c]]];
    return sum;
  };
  std::priority_queue<State> queue;
  const std::vector<int> top(layout_.count, 0);
  queue.push({full_log_probability(top), top, 0});
  std::set<Decisions> seen;
  std::vector<Decisions> found;
  // Choices without use make many states one architecture; the bound keeps a flat controller from
  // wandering among them.
  for (int pops = 0; !queue.empty() && std::ssize(found) < count && pops < 20000; ++pops) {
    const State state = queue.top();
    queue.pop();
    Decisions decisions(layout_.count);
    for (int c = 0; c < layout_.count; ++c) decisions[c] = order[c][state.ranks[c]];
    deactivate_unused(space_, layout_, decisions);
    if (seen.insert(decisions).second) found.push_back(decisions);
    for (int c = state.last; c < layout_.count; ++c) {
      if (state.ranks[c] + 1 == std::ssize(order[c])) continue;
      State next{0, state.ranks, c};
      ++next.ranks[c];
      next.log_probability = full_log_probability(next.ranks);
      queue.push(std::move(next));
    }
  }
  std::stable_sort(found.begin(), found.end(), [&](const Decisions& a, const Decisions& b) {
    return log_probability(a) > log_probability(b);
  });
  return found;
}

std::string Controller::state() const {
  // nlohmann writes the shortest text that reads back as the same double.
  return json{{"logits", to_vector(logits_)},
              {"second_moment", to_vector(second_moment_)},
              {"updates", updates_},
              {"baseline_sum", baseline_sum_},
              {"baseline_weight", baseline_weight_}}
      .dump();
}

void Controller::restore(const std::string& state) {
  try {
    const json saved = json::parse(state);
    const auto logits = saved.at("logits").get<std::vector<double>>();
    const auto second_moment = saved.at("second_moment").get<std::vector<double>>();
    if (std::ssize(logits) != logits_.size() || std::ssize(second_moment) != logits_.size()) {
      throw Error("the controller's state is of another search space");
    }
    std::copy(logits.begin(), logits.end(), logits_.begin());
    std::copy(second_moment.begin(), second_moment.end(), second_moment_.begin());
    updates_ = saved.at("updates");
    baseline_sum_ = saved.at("baseline_sum");
    baseline_weight_ = saved.at("baseline_weight");
  } catch (const json::exception&) {
    throw Error("the controller's state is damaged");
  }
}

}  // namespace ridgewalk
