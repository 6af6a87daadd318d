#include "experiments/run/stage_outcome.h"

#include <cmath>
#include <utility>

#include "supernet/network/parameters.h"

namespace ridgewalk {
namespace {

std::vector<ChoiceResult> choice_results(const SearchSpace& space, const Controller& controller,
                                         const Decisions& chosen) {
  const auto probabilities = controller.probabilities();
  const std::vector<Choice> list = choices(space);
  std::vector<ChoiceResult> results;
  for (size_t c = 0; c < list.size(); ++c) {
    if (list[c].options.size() < 2) continue;
    results.push_back({.name = list[c].name,
                       .options = list[c].options,
                       .probabilities = probabilities[c],
                       .chosen = chosen[c]});
  }
  return results;
}

CandidateResult judged(const Candidate& candidate, const SearchedStage& searched) {
  CandidateResult result = candidate_result(candidate, searched.reward);
  if (searched.config.judge) result.proxy = std::exchange(result.accuracy, NAN);
  return result;
}

}  // namespace

StageOutcome stage_outcome(const SearchedStage& searched, const StageResult& found) {
  const SearchSpace& space = searched.space;
  const SearchMethod method = searched.config.tunas.method;
  const bool learned = method == SearchMethod::kTunas;
  const Candidate& argmax = learned ? found.argmax : found.best;
  StageOutcome outcome{
      .stage = searched.stage,
      .space = space.name,
      .method = method,
      .judge = searched.config.judge,
      .size = size(space),
      .share_in_common = share_in_common(space),
      .targets = target_summaries(searched.reward),
      .argmax = judged(argmax, searched),
      .best = judged(found.best, searched),
      .chosen = !learned                                   ? "best of those tried"
                : found.best.decisions == argmax.decisions ? "argmax"
                                                           : "re-evaluated candidate",
      .choices = choice_results(space, searched.search.controller(), found.best.decisions),
      .architecture = decode(space, found.best.decisions)};
  for (const Candidate& candidate : found.candidates) {
    outcome.candidates.push_back(judged(candidate, searched));
  }
  return outcome;
}

}  // namespace ridgewalk
