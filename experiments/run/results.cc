#include "experiments/run/results.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "space/error.h"

namespace ridgewalk {
namespace {

Json split_json(const char* split, const std::optional<SplitAccuracy>& accuracy) {
  if (!accuracy) return {};
  Json json = {{"split", split}};
  json.update(Json(*accuracy));
  return json;
}

std::optional<double> milliseconds(Macs latency, const LatencyModel& model) {
  if (model.peak.value == 0) return std::nullopt;
  return 1e3 * (latency / model.peak).value;
}

// Nothing where the model prices latency.
std::optional<ResourceAmount> amount_of(Macs price, const LatencyModel& model) {
  const ResourceUnit* unit = unit_of(model.resource);
  if (unit == nullptr) return std::nullopt;
  return ResourceAmount{model.resource, price.value / unit->unit};
}

// As the key of the resource: {"peak_memory_kib": 503.1}.
void add_amount(Json& json, const std::optional<ResourceAmount>& amount) {
  if (amount) json[unit_of(amount->resource)->key] = amount->amount;
}

std::optional<ResourceAmount> amount_in(const Json& json) {
  for (const ResourceUnit& one : kResourceUnits) {
    if (json.contains(one.key)) return ResourceAmount{one.resource, json[one.key].get<double>()};
  }
  return std::nullopt;
}

}  // namespace

std::string amount_text(const ResourceAmount& amount) {
  return fmt::format("{:.4g} {}", amount.amount, unit_of(amount.resource)->text);
}

std::vector<TargetSummary> target_summaries(const Reward& reward) {
  std::vector<TargetSummary> summaries;
  for (const Target& target : reward.targets) {
    TargetSummary& summary = summaries.emplace_back(TargetSummary{.name = target.name});
    const LatencyModel& model = target.models[0];
    if (model.data_type != DataType::kInt8) summary.data_type = model.data_type;
    summary.head_type = model.head_type;
    summary.batch = model.batch;
    summary.is_limit = target.is_limit;
    if (target.latency.size() != 1) continue;
    summary.amount = amount_of(target.latency[0], model);
    if (summary.amount) continue;
    summary.ridge_point = model.ridge_point.value;
    summary.latency_macs = target.latency[0].value;
    summary.latency_ms = milliseconds(target.latency[0], model);
    summary.is_guess = summary.latency_ms && model.is_guess();
  }
  return summaries;
}

CandidateResult candidate_result(const Candidate& candidate, const Reward& reward) {
  CandidateResult result{.decisions = candidate.decisions,
                         .probability = candidate.probability,
                         .accuracy = candidate.accuracy,
                         .reward = candidate.reward};
  const std::vector<double> ratios = reward.ratios(candidate.latency);
  size_t first = 0;  // of the target's ridge points
  for (size_t t = 0; t < ratios.size(); ++t) {
    const Target& target = reward.targets[t];
    TargetLatency latency{.target = target.name, .of_target = ratios[t]};
    latency.amount = amount_of(candidate.latency[first], target.models[0]);
    if (target.latency.size() == 1 && !latency.amount) {
      latency.latency_macs = candidate.latency[first].value;
      latency.latency_ms = milliseconds(candidate.latency[first], target.models[0]);
      latency.is_guess = latency.latency_ms && target.models[0].is_guess();
    }
    result.latency.push_back(std::move(latency));
    first += target.latency.size();
    if (target.is_limit) result.is_within_limits = candidate.is_within_limits;
  }
  return result;
}

std::vector<LimitShare> limit_shares(const Reward& reward, std::span<const Macs> prices) {
  const std::vector<double> ratios = reward.ratios(prices);
  std::vector<LimitShare> shares;
  for (size_t t = 0; t < ratios.size(); ++t) {
    if (reward.targets[t].is_limit) shares.push_back({reward.targets[t].name, ratios[t]});
  }
  return shares;
}

bool is_within(const std::vector<LimitShare>& shares) {
  return std::all_of(shares.begin(), shares.end(),
                     [](const LimitShare& one) { return one.share <= 1; });
}

std::string excess_text(const std::vector<LimitShare>& shares) {
  std::string text;
  for (const LimitShare& one : shares) {
    if (one.share <= 1) continue;
    text += fmt::format("{} {} ({:.3g} times)", text.empty() ? "above" : ",", one.limit, one.share);
  }
  return text;
}

void add_limits(Json& json, const std::vector<LimitShare>& shares) {
  if (shares.empty()) return;
  json["within_limits"] = is_within(shares);
  json["of_limits"] = Json::array();
  for (const LimitShare& one : shares) {
    json["of_limits"].push_back({{"limit", one.limit}, {"share", one.share}});
  }
}

std::vector<LimitShare> limits_in(const Json& json) {
  std::vector<LimitShare> shares;
  for (const Json& one : json.value("of_limits", Json::array())) {
    shares.push_back({one.at("limit"), one.at("share")});
  }
  return shares;
}

std::string milliseconds_text(double ms, bool is_guess) {
  if (!is_guess || !(ms > 0)) return fmt::format("{:.4g} ms", ms);
  const double step = std::pow(10, std::floor(std::log10(ms)));
  return fmt::format("~{:g} ms", std::round(ms / step) * step);
}

std::string top1_text(const TrainingResult& result) {
  std::string text;
  if (result.train) {
    text += fmt::format("train {:.2f} % of {} images without augmentation, ",
                        100 * result.train->top1, result.train->images);
  }
  if (result.search_validation) {
    text += fmt::format("search-validation {:.2f} %, ", 100 * result.search_validation->top1);
  }
  return text + fmt::format("test {:.2f} %", 100 * result.test.top1);
}

void to_json(Json& json, const TargetSummary& target) {
  json = {{"name", target.name},
          {"ridge_point", value_or_null(target.ridge_point)},
          {"latency_macs", value_or_null(target.latency_macs)}};
  if (target.data_type) json["data_type"] = to_string(*target.data_type);
  if (target.head_type) json["head_type"] = to_string(*target.head_type);
  if (target.batch != 1) json["batch"] = target.batch;
  if (target.latency_ms) json["latency_ms"] = *target.latency_ms;
  add_amount(json, target.amount);
  if (target.is_guess) json["is_guess"] = true;
  if (target.is_limit) json["limit"] = true;
}

void from_json(const Json& json, TargetSummary& target) {
  json.at("name").get_to(target.name);
  target.ridge_point = value_or_nothing<double>(json.at("ridge_point"));
  target.latency_macs = value_or_nothing<double>(json.at("latency_macs"));
  if (json.contains("data_type")) {
    target.data_type = value_named<DataType>(json["data_type"].get<std::string>());
  }
  if (json.contains("head_type")) {
    target.head_type = value_named<DataType>(json["head_type"].get<std::string>());
  }
  target.batch = json.value("batch", 1);
  if (json.contains("latency_ms")) target.latency_ms = json["latency_ms"].get<double>();
  target.amount = amount_in(json);
  target.is_guess = json.value("is_guess", false);
  target.is_limit = json.value("limit", false);
}

void to_json(Json& json, const TargetLatency& latency) {
  json = {{"target", latency.target}};
  if (latency.latency_macs) json["latency_macs"] = *latency.latency_macs;
  if (latency.latency_ms) json["latency_ms"] = *latency.latency_ms;
  if (latency.is_guess) json["is_guess"] = true;
  add_amount(json, latency.amount);
  json["of_target"] = latency.of_target;
}

void from_json(const Json& json, TargetLatency& latency) {
  json.at("target").get_to(latency.target);
  if (json.contains("latency_macs")) latency.latency_macs = json["latency_macs"].get<double>();
  if (json.contains("latency_ms")) latency.latency_ms = json["latency_ms"].get<double>();
  latency.is_guess = json.value("is_guess", false);
  latency.amount = amount_in(json);
  latency.of_target = number_or_nan(json.at("of_target"));
}

void to_json(Json& json, const CandidateResult& candidate) {
  json = {{"decisions", candidate.decisions}, {"probability", candidate.probability}};
  if (candidate.proxy) {
    json["proxy"] = *candidate.proxy;
  } else {
    json["accuracy"] = candidate.accuracy;
    json["split"] = "search-validation";
    json["weights"] = "shared";
  }
  json["reward"] = candidate.reward;
  json["latency"] = candidate.latency;
  if (candidate.is_within_limits) json["within_limits"] = *candidate.is_within_limits;
}

void from_json(const Json& json, CandidateResult& candidate) {
  json.at("decisions").get_to(candidate.decisions);
  json.at("latency").get_to(candidate.latency);
  candidate.probability = number_or_nan(json.at("probability"));
  if (json.contains("proxy")) {
    candidate.proxy = json["proxy"].get<double>();
    candidate.accuracy = NAN;
  } else {
    candidate.accuracy = number_or_nan(json.at("accuracy"));
  }
  candidate.reward = number_or_nan(json.at("reward"));
  if (json.contains("within_limits")) {
    candidate.is_within_limits = json["within_limits"].get<bool>();
  }
}

void to_json(Json& json, const ChoiceResult& choice) {
  json = {{"name", choice.name},
          {"options", choice.options},
          {"probabilities", choice.probabilities},
          {"chosen", choice.chosen}};
}

void from_json(const Json& json, ChoiceResult& choice) {
  json.at("name").get_to(choice.name);
  json.at("options").get_to(choice.options);
  json.at("probabilities").get_to(choice.probabilities);
  json.at("chosen").get_to(choice.chosen);
}

void to_json(Json& json, const RecalibrationResult& result) {
  json = {{"networks", result.networks},
          {"factor", result.factor},
          {"error_before", result.error_before},
          {"error_after", result.error_after}};
}

void from_json(const Json& json, RecalibrationResult& result) {
  json.at("networks").get_to(result.networks);
  json.at("factor").get_to(result.factor);
  json.at("error_before").get_to(result.error_before);
  json.at("error_after").get_to(result.error_after);
  if (!(result.factor > 0)) throw Error("a recalibration's factor must be above 0");
}

void to_json(Json& json, const StageOutcome& outcome) {
  json = {{"space", outcome.space},
          {"method", to_string(outcome.method)},
          {"size", outcome.size},
          {"share_in_common", outcome.share_in_common},
          {"targets", outcome.targets},
          {"argmax", outcome.argmax},
          {"best", outcome.best},
          {"chosen", outcome.chosen},
          {"candidates", outcome.candidates},
          {"choices", outcome.choices},
          {"architecture", to_yaml(outcome.architecture)}};
  if (outcome.judge) json["judge"] = to_string(*outcome.judge);
  if (outcome.recalibration) json["recalibration"] = *outcome.recalibration;
  if (outcome.law_factor != 1) json["law_factor"] = outcome.law_factor;
}

void from_json(const Json& json, StageOutcome& outcome) {
  outcome.method = value_named<SearchMethod>(json.at("method").get<std::string>());
  json.at("space").get_to(outcome.space);
  outcome.size = number_or_nan(json.at("size"));
  outcome.share_in_common = number_or_nan(json.at("share_in_common"));
  json.at("targets").get_to(outcome.targets);
  json.at("argmax").get_to(outcome.argmax);
  json.at("best").get_to(outcome.best);
  json.at("chosen").get_to(outcome.chosen);
  json.at("candidates").get_to(outcome.candidates);
  json.at("choices").get_to(outcome.choices);
  outcome.architecture =
      architecture_from_yaml(json.at("architecture").get<std::string>(), "architecture");
  if (json.contains("judge")) {
    outcome.judge = value_named<Proxy>(json["judge"].get<std::string>());
  }
  if (json.contains("recalibration")) {
    outcome.recalibration = json["recalibration"].get<RecalibrationResult>();
  }
  outcome.law_factor = json.value("law_factor", 1.0);
}

void to_json(Json& json, const SplitAccuracy& accuracy) {
  json = {{"images", accuracy.images}};
  if (accuracy.undecodable > 0) json["undecodable"] = accuracy.undecodable;
  if (!accuracy.lost_classes.empty()) json["classes_without_images"] = accuracy.lost_classes;
  json["top1"] = accuracy.top1;
  json["top5"] = accuracy.top5;
  json["loss"] = accuracy.loss;
}

void from_json(const Json& json, SplitAccuracy& accuracy) {
  json.at("images").get_to(accuracy.images);
  accuracy.undecodable = json.value("undecodable", int64_t{0});
  accuracy.lost_classes = json.value("classes_without_images", std::vector<std::string>{});
  accuracy.top1 = number_or_nan(json.at("top1"));
  accuracy.top5 = number_or_nan(json.at("top5"));
  accuracy.loss = number_or_nan(json.at("loss"));
}

void to_json(Json& json, const TrainingResult& result) {
  json = {{"architecture", result.architecture},
          {"data", result.data},
          {"weights", result.weights},
          {"epochs", result.epochs}};
  if (result.teacher) json["teacher"] = *result.teacher;
  if (result.ema > 0) json["ema"] = result.ema;
  json["train"] = split_json("train", result.train);
  json["search_validation"] = split_json("search-validation", result.search_validation);
  json["test"] = split_json("test", result.test);
}

void from_json(const Json& json, TrainingResult& result) {
  json.at("architecture").get_to(result.architecture);
  json.at("data").get_to(result.data);
  json.at("weights").get_to(result.weights);
  json.at("epochs").get_to(result.epochs);
  if (json.contains("teacher")) result.teacher = json["teacher"].get<std::string>();
  if (json.contains("ema")) result.ema = json["ema"];
  result.train = value_or_nothing<SplitAccuracy>(json.at("train"));
  result.search_validation = value_or_nothing<SplitAccuracy>(json.at("search_validation"));
  json.at("test").get_to(result.test);
}

}  // namespace ridgewalk
