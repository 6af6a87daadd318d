#include "search/controller.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <sstream>

#include "roofline/statistics.h"
#include "space/error.h"
#include "space/json.h"
#include "space/random.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

std::vector<double> to_vector(const Eigen::ArrayXd& array) {
  return {array.data(), array.data() + array.size()};
}

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
    // d/dlogits of -advantage * log p is advantage * (p - onehot), for active choices only.
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

// Rank r of a choice is its r-th most probable option; a network is a rank for each choice.
std::vector<std::vector<int>> Controller::options_by_rank() const {
  std::vector<std::vector<int>> order(layout_.count);
  for (int c = 0; c < layout_.count; ++c) {
    const auto logits = logits_of(c);
    order[c].resize(logits.size());
    std::iota(order[c].begin(), order[c].end(), 0);
    std::stable_sort(order[c].begin(), order[c].end(),
                     [&](int x, int y) { return logits[x] > logits[y]; });
  }
  return order;
}

std::vector<Decisions> Controller::most_probable(int count) const {
  // Best-first search over ranks. Kinds and depths, which decide what else is active, are
  // enumerated. From each of their combinations, a step demotes one active choice by one rank,
  // never one before the choice demoted last: this reaches every architecture once and never raises
  // the probability.
  const std::vector<std::vector<int>> order = options_by_rank();
  const auto decisions_of = [&](const std::vector<int>& ranks) {
    Decisions decisions(layout_.count);
    for (int c = 0; c < layout_.count; ++c) decisions[c] = order[c][ranks[c]];
    deactivate_unused(space_, layout_, decisions);
    return decisions;
  };

  std::vector<bool> structural(layout_.count);
  std::vector<std::vector<int>> seeds{std::vector<int>(layout_.count, 0)};
  for (const StageChoices& stage : layout_.stages) {
    for (int c : {stage.kind, stage.depth}) {
      structural[c] = true;
      std::vector<std::vector<int>> expanded;
      for (const std::vector<int>& ranks : seeds) {
        const bool used = decisions_of(ranks)[c] != kInactive;
        for (int rank = 0; rank < (used ? std::ssize(order[c]) : 1); ++rank) {
          expanded.push_back(ranks);
          expanded.back()[c] = rank;
        }
      }
      seeds = std::move(expanded);
    }
  }

  struct State {
    double log_probability;
    std::vector<int> ranks;
    int last;  // the choice demoted last
    bool operator<(const State& other) const {
      return std::tie(log_probability, other.ranks) < std::tie(other.log_probability, ranks);
    }
  };
  std::priority_queue<State> queue;
  for (std::vector<int>& ranks : seeds) {
    const double log_p = log_probability(decisions_of(ranks));
    queue.push({log_p, std::move(ranks), 0});
  }
  std::vector<Decisions> found;
  while (!queue.empty() && std::ssize(found) < count) {
    const State state = queue.top();
    queue.pop();
    found.push_back(decisions_of(state.ranks));
    for (int c = state.last; c < layout_.count; ++c) {
      if (structural[c] || found.back()[c] == kInactive) continue;
      if (state.ranks[c] + 1 == std::ssize(order[c])) continue;
      State next{0, state.ranks, c};
      ++next.ranks[c];
      next.log_probability = log_probability(decisions_of(next.ranks));
      queue.push(std::move(next));
    }
  }
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
      throw Error("the saved state of the controller belongs to another search space");
    }
    std::copy(logits.begin(), logits.end(), logits_.begin());
    std::copy(second_moment.begin(), second_moment.end(), second_moment_.begin());
    updates_ = saved.at("updates");
    baseline_sum_ = saved.at("baseline_sum");
    baseline_weight_ = saved.at("baseline_weight");
  } catch (const json::exception&) {
    throw Error("the saved state of the controller is damaged");
  }
}

}  // namespace ridgewalk
