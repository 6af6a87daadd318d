#include "experiments/evidence/budget.h"

#include <fstream>
#include <map>

#include "roofline/cost.h"
#include "space/decisions.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// How many images a sampled network was trained and judged on.
struct Seen {
  double trained = 0, judged = 0;
};

std::map<Decisions, Seen> seen_in_steps(const SearchContext& context, SearchStage stage) {
  const SupernetOptions& weights = context.config.weights;
  const std::string phase(to_string(stage));
  // The largest and the smallest network, the first of a step's samples, are only trained.
  const size_t unjudged = context.config.stages.at(stage).tunas.sandwich ? 2 : 0;
  std::map<Decisions, Seen> seen;
  std::ifstream log(context.run.file("log.jsonl"));
  for (std::string line; std::getline(log, line);) {
    const Json record = Json::parse(line, nullptr, false);
    if (!record.is_object() || record.value("phase", "") != phase) continue;
    try {
      const auto samples = record.at("samples").get<std::vector<Decisions>>();
      for (size_t i = 0; i < samples.size(); ++i) {
        seen[samples[i]].trained += weights.batch_size;
        if (i < unjudged || record.at("accuracy").is_null()) continue;
        seen[samples[i]].judged += weights.validation_batch_size;
      }
    } catch (const Json::exception&) {
      throw context.run.damaged();
    }
  }
  return seen;
}

}  // namespace

Macs passes(const Graph& network, double trained_images, double judged_images) {
  return (3 * trained_images + judged_images) * network_cost(network).macs;
}

double candidate_images(const SearchConfig& config, const Dataset& data) {
  return double(data.search_validation.size()) + config.weights.calibration_images;
}

Macs training_budget(const Architecture& architecture, const SearchConfig& config,
                     const Dataset& data) {
  return passes(lower(architecture), double(config.train.epochs) * double(data.train.size()),
                double(data.search_validation.size()));
}

Macs stage_budget(const SearchContext& context, const StageOutcome& stage,
                  const SearchSpace& space) {
  std::map<Decisions, Seen> seen = seen_in_steps(context, stage.stage);
  for (const CandidateResult& candidate : stage.candidates) {
    seen[candidate.decisions].judged += candidate_images(context.config, context.data);
  }
  Macs sum;
  for (const auto& [decisions, images] : seen) {
    sum += passes(lower(decode_blended(space, decisions)), images.trained, images.judged);
  }
  return sum;
}

}  // namespace ridgewalk
