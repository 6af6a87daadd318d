#include "experiments/evidence/fit_answer.h"

#include <algorithm>

#include <fmt/format.h>

#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr size_t kSuggested = 3;

std::vector<FitAlternative> alternatives(const FitQuestion& question, const FitTable& table) {
  std::vector<FitAlternative> found;
  std::vector<TriedTerms> tried;
  try {
    tried = try_terms(table.rows, sets_of_terms(), question.ridge_point, question.seed);
  } catch (const Error& error) {
    throw Error(question.table, 0, error.what());
  }
  const TriedTerms& best = tried[best_of(tried)];
  for (const TriedTerms& set : tried) {
    found.push_back({.tried = set, .certainty = {}, .is_worse = is_worse(set, best, table.rows)});
    if (question.ridge_point) continue;
    found.back().certainty = ridge_certainty(table.rows, set.terms, question.seed);
  }
  return found;
}

// The place of the terms that are asked for, or of those that predict best.
size_t choose(const FitQuestion& question, const std::vector<FitAlternative>& alternatives,
              size_t networks) {
  if (!question.terms) {
    std::vector<TriedTerms> tried;
    for (const FitAlternative& one : alternatives) tried.push_back(one.tried);
    return best_of(tried);
  }
  for (size_t i = 0; i < alternatives.size(); ++i) {
    if (alternatives[i].tried.terms == *question.terms) return i;
  }
  const size_t unknowns = unknowns_of(*question.terms, question.ridge_point);
  throw Error(question.table, 0,
              fmt::format("a fit of {} figures, judged on networks held out, needs at least {} "
                          "networks; there are {}",
                          unknowns, unknowns + 1, networks));
}

// Of the networks that may be measured, those about as fast as what was: further off, terms that
// these networks do not show would decide.
std::vector<NetworkWork> within_reach(std::vector<NetworkWork> works, const FitTable& table,
                                      const Fit& fit) {
  constexpr double kReach = 4;
  const auto [fastest, slowest] = std::minmax_element(
      table.rows.begin(), table.rows.end(),
      [](const Measured& a, const Measured& b) { return a.latency < b.latency; });
  std::erase_if(works, [&](const NetworkWork& work) {
    const double predicted = fit.predict(work).value;
    return predicted < fastest->latency.value / kReach ||
           predicted > slowest->latency.value * kReach;
  });
  return works;
}

std::vector<FitNext> measure_next(const FitQuestion& question, const FitTable& table,
                                  const TriedTerms& choice) {
  if (question.ridge_point) return {};
  const std::vector<NetworkWork> candidates =
      within_reach(unmeasured_networks(table, question.reading), table, choice.fit);
  std::vector<FitNext> next;
  for (const Suggestion& one :
       next_networks(table.rows, choice.fit, choice.terms, candidates, kSuggested)) {
    next.push_back({candidates[one.candidate].name, one.share});
  }
  return next;
}

}  // namespace

bool FitAnswer::alternatives_agree() const {
  const Fit& own = choice().fit;
  return std::all_of(alternatives.begin(), alternatives.end(), [&](const FitAlternative& one) {
    const Fit& other = one.tried.fit;
    return one.is_worse || (own.seconds_per_mac > 0 && other.seconds_per_mac > 0 &&
                            other.ridge_point.value <= 2 * own.ridge_point.value &&
                            own.ridge_point.value <= 2 * other.ridge_point.value);
  });
}

bool FitAnswer::ridge_point_is_determined() const {
  return alternatives[chosen].certainty.is_determined && !alternatives[chosen].is_worse &&
         alternatives_agree();
}

FitAnswer answer(const FitQuestion& question) {
  FitAnswer answer;
  answer.table = read_fit_table(question.table, question.reading);
  const std::vector<Measured>& rows = answer.table.rows;
  answer.alternatives = alternatives(question, answer.table);
  answer.chosen = choose(question, answer.alternatives, count_networks(rows));
  const FitTerms terms = answer.choice().terms;
  if (question.test) {
    const std::vector<Measured> given = read_fit_table(*question.test, question.reading).rows;
    answer.tested = unseen(given, rows, *question.test);
    answer.tested_before = int(count_networks(given) - count_networks(answer.tested));
    answer.held_out = hold_out(rows, answer.tested, terms, question.ridge_point);
  } else {
    answer.tested = rows;
    const std::vector<FitTerms> sets = question.terms ? std::vector{terms} : sets_of_terms();
    answer.held_out = cross_validate(rows, sets, question.ridge_point, question.seed);
  }
  answer.judgements = judge_all(answer.held_out, answer.tested, question.seed);
  answer.next = measure_next(question, answer.table, answer.choice());
  return answer;
}

}  // namespace ridgewalk
