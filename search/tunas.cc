#include "search/tunas.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <sstream>
#include <stdexcept>

#include "roofline/statistics.h"
#include "space/error.h"
#include "space/json.h"
#include "space/random.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

void require(bool holds, const std::string& field, double value, const std::string& rule) {
  if (holds) return;
  std::ostringstream message;
  message << "search: " << field << " is " << value << "; it must be " << rule;
  throw Error(message.str());
}

const TunasOptions& checked(const TunasOptions& o) {
  require(o.steps >= 1, "steps", o.steps, "at least 1");
  require(o.samples_per_step >= 1, "samples_per_step", o.samples_per_step, "at least 1");
  require(!o.sandwich || o.samples_per_step >= 3, "samples_per_step", o.samples_per_step,
          "at least 3 with sandwich: the largest network, the smallest, and others");
  require(!o.fair || o.method != SearchMethod::kTunas || o.controller_delay > 0, "controller_delay",
          o.controller_delay, "above 0 with fair, which ends when the controller learns");
  require(o.candidates >= 1, "candidates", o.candidates, "at least 1");
  require(o.controller_delay >= 0 && o.controller_delay <= 1, "controller_delay",
          o.controller_delay, "from 0 to 1");
  // The controller must never learn from a sample that a warm-up has replaced.
  require(o.operation_warmup >= 0 && o.operation_warmup <= o.controller_delay, "operation_warmup",
          o.operation_warmup, "from 0 to controller_delay");
  require(o.filter_warmup >= 0 && o.filter_warmup <= o.controller_delay, "filter_warmup",
          o.filter_warmup, "from 0 to controller_delay");
  require(o.trials.evaluations >= 1, "evaluations", o.trials.evaluations, "at least 1");
  require(o.trials.tolerance > 0, "tolerance", o.trials.tolerance, "above 0");
  if (o.sample_tolerance) {
    require(*o.sample_tolerance > 0, "sample_tolerance", *o.sample_tolerance, "above 0");
    require(o.method != SearchMethod::kTunas, "sample_tolerance", *o.sample_tolerance,
            "left out with method tunas, where the controller samples");
    require(!o.fair, "sample_tolerance", *o.sample_tolerance,
            "left out with fair samples, which are of the whole space");
  }
  require(o.trials.population >= 1, "population", o.trials.population, "at least 1");
  require(o.trials.tournament >= 1, "tournament", o.trials.tournament, "at least 1");
  const ControllerOptions& c = o.controller;
  require(std::isfinite(c.learning_rate) && c.learning_rate >= 0, "controller.learning_rate",
          c.learning_rate, "a finite number, at least 0");
  require(std::isfinite(c.learning_rate_growth) && c.learning_rate_growth > 0,
          "controller.learning_rate_growth", c.learning_rate_growth, "a finite number above 0");
  require(c.baseline_momentum >= 0 && c.baseline_momentum < 1, "controller.baseline_momentum",
          c.baseline_momentum, "at least 0 and below 1");
  require(c.beta2 >= 0 && c.beta2 < 1, "controller.beta2", c.beta2, "at least 0 and below 1");
  // An inactive choice has neither gradient nor second moment: 0 / 0 without epsilon.
  require(std::isfinite(c.epsilon) && c.epsilon > 0, "controller.epsilon", c.epsilon,
          "a finite number above 0");
  return o;
}

const Reward& checked(const Reward& reward) {
  require(std::isfinite(reward.beta), "reward.beta", reward.beta, "a finite number");
  for (const Target& target : reward.targets) {
    for (const LatencyModel& model : target.models) {
      const double ridge_point = model.ridge_point.value;
      require(std::isfinite(ridge_point) && ridge_point >= 0,
              "the ridge point of target '" + target.name + "'", ridge_point,
              "a finite number, at least 0");
    }
  }
  return reward;
}

// The probability of a warm-up at `step`: falls from 1 to 0 over the first `share` of the steps.
double warmup_chance(int step, int steps, double share) {
  const double length = share * steps;
  return length > 0 ? std::max(0.0, 1 - step / length) : 0;
}

// The choices with several options as "name=option", at most some 600 characters.
std::string readable(const std::vector<Choice>& list, const Decisions& decisions) {
  std::string text;
  for (size_t c = 0; c < list.size() && text.size() < 600; ++c) {
    if (decisions[c] == kInactive || list[c].options.size() < 2) continue;
    text += (text.empty() ? "" : " ") + list[c].name + "=" +
            (decisions[c] == kBlend ? "all" : list[c].options[decisions[c]]);
  }
  return text;
}

}  // namespace

TunasSearch::TunasSearch(const SearchSpace& space, const Reward& reward,
                         const TunasOptions& options)
    : space_(space),
      layout_(choice_layout(space)),
      choices_(choices(space)),
      reward_(checked(reward)),
      options_(checked(options)),
      cost_table_(space, reward.models()),
      controller_(space, options.controller),
      fair_(space),
      random_(options.seed) {
  if (!options.sandwich) return;
  const CostTable::Range macs = CostTable(space, rooflines({{0}})).reachable().front();
  extremes_ = {macs.most, macs.least};
}

std::string TunasSearch::out_of_reach() const {
  std::vector<Macs> lowest, highest;
  for (const CostTable::Range& range : cost_table_.reachable()) {
    lowest.push_back(range.lowest), highest.push_back(range.highest);
  }
  // Over a range of ridge points these are bounds: one architecture need not attain all of them.
  const std::vector<double> least = reward_.ratios(lowest), most = reward_.ratios(highest);
  for (size_t i = 0; i < reward_.targets.size(); ++i) {
    const Target& target = reward_.targets[i];
    if (least[i] <= 1 && (most[i] >= 1 || target.is_limit)) continue;
    std::ostringstream message;
    message.precision(10);  // a target may be out of reach by a single MAC
    message << "target '" << target.name << "': ";
    if (target.is_limit) {
      message << "every architecture of space '" << space_.name
              << "' exceeds this limit; the least is " << least[i] << " times that";
    } else {
      const bool is_latency = target.models[0].resource == Resource::kLatency;
      message << "no architecture of space '" << space_.name << "' takes that "
              << (is_latency ? "long" : "much") << "; reachable is " << least[i] << " to "
              << most[i] << " times that";
    }
    return message.str();
  }
  return "";
}

// The step from which the controller learns; infinite where none does.
double TunasSearch::learns_from() const {
  const bool has_controller = options_.method == SearchMethod::kTunas;
  return has_controller ? options_.controller_delay * options_.steps
                        : std::numeric_limits<double>::infinity();
}

Decisions TunasSearch::sample() {
  Decisions decisions =
      options_.sample_tolerance
          ? sample_near_targets(space_, cost_table_, reward_, *options_.sample_tolerance, random_)
      : options_.fair && step_ < learns_from() ? fair_.sample(random_)
                                               : controller_.sample(random_);
  const double blend = warmup_chance(step_, options_.steps, options_.operation_warmup);
  const double widen = warmup_chance(step_, options_.steps, options_.filter_warmup);
  if (blend == 0 && widen == 0) return decisions;
  for (size_t c = 0; c < choices_.size(); ++c) {
    if (choices_[c].options.size() < 2) continue;
    // A blended depth activates blocks that the sample left out: give every choice a value.
    if (decisions[c] == kInactive)
      decisions[c] = static_cast<int>(random_() % choices_[c].options.size());
    if (choices_[c].kind == ChoiceKind::kOperation && uniform(random_) < blend)
      decisions[c] = kBlend;
    if (choices_[c].kind == ChoiceKind::kFilters && uniform(random_) < widen) {
      decisions[c] = choices_[c].widest;
    }
  }
  for (int& decision : decisions) {
    if (decision == kInactive) decision = 0;  // a single option
  }
  deactivate_unused(space_, layout_, decisions);
  return decisions;
}

std::vector<Decisions> TunasSearch::samples_of_step() {
  std::vector<Decisions> samples = extremes_;
  while (std::ssize(samples) < options_.samples_per_step) samples.push_back(sample());
  return samples;
}

void TunasSearch::stop(const std::string& what, const std::vector<Decisions>& samples) const {
  std::string message = what + " is not finite at step " + std::to_string(step_) + "; sampled";
  for (const Decisions& decisions : samples) message += " [" + readable(choices_, decisions) + "]";
  throw std::runtime_error(message);
}

StepRecord TunasSearch::advance(SharedWeights& weights) {
  StepRecord record{.step = step_, .accuracy = kNone, .reward = kNone, .baseline = kNone};
  record.samples = samples_of_step();
  record.loss = weights.train(step_, record.samples);
  if (!std::isfinite(record.loss)) stop("the loss", record.samples);
  const double delay = learns_from();
  if (step_ >= delay) {
    const std::span own = std::span<const Decisions>(record.samples).subspan(extremes_.size());
    const std::vector<double> accuracies = weights.accuracy(step_, own);
    std::vector<double> rewards;
    std::vector<Macs> latency(cost_table_.models().size());
    record.of_target.resize(reward_.targets.size());
    for (size_t k = 0; k < accuracies.size(); ++k) {
      cost_table_.price(own[k], latency);
      rewards.push_back(reward_(accuracies[k], latency));
      if (!std::isfinite(rewards.back())) stop("the reward", {own[k]});
      const std::vector<double> ratios = reward_.ratios(latency);
      for (size_t t = 0; t < ratios.size(); ++t) {
        record.of_target[t] += ratios[t] / double(own.size());
      }
    }
    record.accuracy = mean(accuracies);
    record.reward = mean(rewards);
    controller_.update(own, rewards, (step_ - delay) / std::max(1.0, options_.steps - delay));
    record.baseline = controller_.baseline();
  }
  ++step_;
  return record;
}

void TunasSearch::reprice(const Reward& reward) {
  reward_ = checked(reward);
  cost_table_ = CostTable(space_, reward.models());
}

std::vector<Decisions> TunasSearch::candidates() const {
  constexpr int kDraws = 100000;
  const Decisions argmax = controller_.most_probable();
  std::vector<Decisions> list = controller_.most_probable(options_.candidates);
  std::erase(list, argmax);
  const auto is_above = [&](const Decisions& decisions) {
    return !reward_.is_within_limits(cost_table_.price(decisions));
  };
  const size_t wanted = size_t(options_.candidates);
  const bool lacks = std::erase_if(list, is_above) > 0 || is_above(argmax);
  std::set<Decisions> seen(list.begin(), list.end());
  std::mt19937_64 random = random_;  // a copy: finishing twice gives the same result
  for (int draw = 0; lacks && list.size() < wanted && draw < 2 * kDraws; ++draw) {
    const bool is_uniform = draw >= kDraws;  // where the controller has nothing within
    if (is_uniform && !list.empty()) break;
    const Decisions decisions =
        is_uniform ? ridgewalk::sample(space_, random) : controller_.sample(random);
    if (decisions == argmax || is_above(decisions)) continue;
    if (seen.insert(decisions).second) list.push_back(decisions);
  }
  list.insert(list.begin(), argmax);
  // An argmax above a limit is reported, and takes no candidate's place.
  list.resize(std::min(list.size(), wanted + (is_above(argmax) ? 1 : 0)));
  return list;
}

StageResult TunasSearch::finish(SharedWeights& weights) const {
  const Trial trial{space_, cost_table_, reward_, weights};
  const bool is_tunas = options_.method == SearchMethod::kTunas;
  StageResult result;
  const auto judge = [&](const Decisions& decisions) {
    result.candidates.push_back(trial(decisions));
    if (!is_tunas) return;
    result.candidates.back().probability = std::exp(controller_.log_probability(decisions));
  };
  if (is_tunas) {
    for (const Decisions& decisions : candidates()) judge(decisions);
    result.argmax = result.candidates.front();
  } else {
    std::mt19937_64 random = random_;  // a copy: finishing twice gives the same result
    result.candidates = options_.method == SearchMethod::kRandom
                            ? random_search(trial, options_.trials, random)
                            : evolution(trial, options_.trials, random);
  }
  const std::vector<Candidate>& tried = result.candidates;
  const auto is_within = [](const Candidate& one) { return one.is_within_limits; };
  if (std::none_of(tried.begin(), tried.end(), is_within)) {
    for (const Decisions& least : least_of_limits(cost_table_, reward_)) {
      const auto is_least = [&](const Candidate& one) { return one.decisions == least; };
      if (std::none_of(tried.begin(), tried.end(), is_least)) judge(least);
    }
  }
  result.best = *std::min_element(result.candidates.begin(), result.candidates.end(), is_better);
  return result;
}

std::string TunasSearch::state() const {
  std::ostringstream random;
  random << random_;
  json state{{"step", step_}, {"random", random.str()}, {"controller", controller_.state()}};
  if (options_.fair) state["decks"] = fair_.decks();
  return state.dump();
}

void TunasSearch::restore(const std::string& state) {
  try {
    const json saved = json::parse(state);
    controller_.restore(saved.at("controller"));
    if (options_.fair) fair_.restore(saved.at("decks").get<FairSampler::Decks>());
    std::istringstream random(saved.at("random").get<std::string>());
    random >> random_;
    step_ = saved.at("step");
    if (!random || step_ < 0 || step_ > options_.steps)
      throw Error("the saved state of the search is damaged");
  } catch (const json::exception&) {
    throw Error("the search's state is damaged");
  }
}

}  // namespace ridgewalk
