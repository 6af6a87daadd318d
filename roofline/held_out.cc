#include "roofline/held_out.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>

#include "roofline/fit_problem.h"
#include "roofline/intervals.h"
#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr size_t kLeaveOneOutUpTo = 60;
constexpr size_t kChooseByOneUpTo = 20;
constexpr size_t kParts = 10;
constexpr double kNoBetter = 1.02;  // a set with more terms must predict better than by so little

RowsOfNetworks rows_by_network(std::span<const Measured> rows) {
  std::vector<std::string> networks;
  for (const Measured& row : rows) networks.push_back(row.network);
  return rows_of_networks(networks);
}

// A set of terms on all rows, of which fits take parts.
struct Problem {
  FitTerms terms;
  size_t unknowns = 0;
  FitProblem of;
};

// The sets with fewer unknowns than there are networks.
std::vector<Problem> problems_of(std::span<const Measured> rows, std::span<const FitTerms> sets,
                                 std::optional<MacsPerByte> ridge_point) {
  const size_t networks = rows_by_network(rows).size();
  size_t least = std::numeric_limits<size_t>::max();
  std::vector<Problem> problems;
  for (const FitTerms& terms : sets) {
    const size_t unknowns = unknowns_of(terms, ridge_point);
    least = std::min(least, unknowns);
    if (unknowns >= networks) continue;
    problems.push_back({terms, unknowns, FitProblem(rows, terms, ridge_point)});
  }
  if (problems.empty()) {
    throw Error("a fit of " + std::to_string(least) + " figures, judged on networks held out, " +
                "needs at least " + std::to_string(least + 1) + " networks; there are " +
                std::to_string(networks));
  }
  return problems;
}

// Networks in parts, each a list of rows: one part per network, or ten shuffled ones.
std::vector<std::vector<size_t>> parts_of(const RowsOfNetworks& networks, size_t one_by_one_up_to,
                                          uint64_t seed) {
  const size_t n = networks.size(), count = n <= one_by_one_up_to ? n : kParts;
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  std::vector<std::vector<size_t>> parts(count);
  for (size_t i = 0; i < n; ++i) {
    const std::vector<size_t>& rows = networks[order[i]];
    parts[i % count].insert(parts[i % count].end(), rows.begin(), rows.end());
  }
  return parts;
}

void set_weights(std::vector<double>& weights, const std::vector<size_t>& rows, double to) {
  for (size_t row : rows) weights[row] = to;
}

// Seconds of the rows in `parts`, each part by a fit of those of the other parts.
std::vector<double> predict_parts(const FitProblem& problem, std::span<const Measured> rows,
                                  const std::vector<std::vector<size_t>>& parts) {
  std::vector<double> weights(rows.size(), 0.0), predicted(rows.size(), 0.0);
  for (const std::vector<size_t>& part : parts) set_weights(weights, part, 1);
  for (const std::vector<size_t>& part : parts) {
    set_weights(weights, part, 0);
    const Fit fitted = problem.fit(weights).fit;
    for (size_t row : part) predicted[row] = fitted.predict(rows[row].work).value;
    set_weights(weights, part, 1);
  }
  return predicted;
}

double mean_error(std::span<const Measured> rows, const std::vector<size_t>& counted,
                  const std::vector<double>& predicted) {
  double sum = 0;
  for (size_t row : counted) sum += std::abs(predicted[row] / rows[row].latency.value - 1);
  return sum / double(counted.size());
}

// The first error that is next to none above the least.
size_t first_best(std::span<const double> errors) {
  const double least = *std::min_element(errors.begin(), errors.end());
  return size_t(std::find_if(errors.begin(), errors.end(),
                             [&](double error) { return error <= kNoBetter * least; }) -
                errors.begin());
}

// The problem whose fits of some of these networks predict the others best.
const Problem& best_problem(const std::vector<Problem>& problems, std::span<const Measured> rows,
                            const RowsOfNetworks& networks, uint64_t seed) {
  if (problems.size() == 1) return problems[0];
  const auto parts = parts_of(networks, kChooseByOneUpTo, seed);
  std::vector<size_t> counted;
  for (const std::vector<size_t>& part : parts) {
    counted.insert(counted.end(), part.begin(), part.end());
  }
  std::vector<double> errors;
  for (const Problem& problem : problems) {
    errors.push_back(problem.unknowns < networks.size()
                         ? mean_error(rows, counted, predict_parts(problem.of, rows, parts))
                         : std::numeric_limits<double>::infinity());
  }
  return problems[first_best(errors)];
}

double baseline_work(const NetworkWork& work, Baseline baseline) {
  switch (baseline) {
    case Baseline::kMacs:
      return work.macs.value;
    case Baseline::kOps:
      return work.kernels;
    case Baseline::kBytes:
      return work.bytes.value;
    case Baseline::kConstant:
      return 1;
  }
  return 1;
}

HeldOut empty_predictions(size_t rows) {
  return {.roofline = std::vector<double>(rows),
          .baselines = std::vector(std::size(kValues<Baseline>), std::vector<double>(rows))};
}

// Each baseline's constant from `train`, and its predictions for `test` at `places`.
void predict_baselines(std::span<const Measured* const> train,
                       std::span<const Measured* const> test, const std::vector<size_t>& places,
                       HeldOut& held_out) {
  for (size_t b = 0; b < std::size(kValues<Baseline>); ++b) {
    std::vector<double> work, latencies;
    for (const Measured* row : train) {
      work.push_back(baseline_work(row->work, kValues<Baseline>[b]));
      latencies.push_back(row->latency.value);
    }
    const double factor = best_factor(work, latencies);
    for (size_t i = 0; i < test.size(); ++i) {
      held_out.baselines[b][places[i]] =
          factor * baseline_work(test[i]->work, kValues<Baseline>[b]);
    }
  }
}

}  // namespace

std::vector<double> errors_of_networks(std::span<const Measured> rows,
                                       std::span<const double> predicted) {
  std::vector<double> errors;
  for (const std::vector<size_t>& network : rows_by_network(rows)) {
    double sum = 0;
    for (size_t row : network) sum += std::abs(predicted[row] / rows[row].latency.value - 1);
    errors.push_back(sum / double(network.size()));
  }
  return errors;
}

std::vector<FitTerms> sets_of_terms() {
  std::vector<FitTerms> sets;
  for (int i = 0; i < 8; ++i) {
    sets.push_back(
        {.depthwise_cost = (i & 1) != 0, .op_overhead = (i & 2) != 0, .floor = (i & 4) != 0});
  }
  std::stable_sort(sets.begin(), sets.end(), [](const FitTerms& a, const FitTerms& b) {
    return unknowns_of(a, std::nullopt) < unknowns_of(b, std::nullopt);
  });
  return sets;
}

std::string text_of(const FitTerms& terms) {
  std::string text;
  const auto add = [&](bool is_used, const char* name) {
    if (is_used) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  add(terms.depthwise_cost, "depthwise");
  add(terms.op_overhead, "overhead");
  add(terms.floor, "floor");
  return text.empty() ? "none" : text;
}

std::vector<TriedTerms> try_terms(std::span<const Measured> rows, std::span<const FitTerms> sets,
                                  std::optional<MacsPerByte> ridge_point, uint64_t seed) {
  const auto parts = parts_of(rows_by_network(rows), kLeaveOneOutUpTo, seed);
  const std::vector<double> once(rows.size(), 1.0);
  std::vector<size_t> all(rows.size());
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<TriedTerms> tried;
  for (const Problem& problem : problems_of(rows, sets, ridge_point)) {
    TriedTerms set{problem.terms, problem.of.fit(once).fit, predict_parts(problem.of, rows, parts),
                   0};
    set.mean_error = mean_error(rows, all, set.held_out);
    tried.push_back(std::move(set));
  }
  return tried;
}

size_t best_of(std::span<const TriedTerms> tried) {
  std::vector<double> errors;
  for (const TriedTerms& set : tried) errors.push_back(set.mean_error);
  return first_best(errors);
}

bool is_worse(const TriedTerms& set, const TriedTerms& than, std::span<const Measured> rows) {
  std::vector<double> differences = errors_of_networks(rows, set.held_out);
  const std::vector<double> errors = errors_of_networks(rows, than.held_out);
  for (size_t i = 0; i < errors.size(); ++i) differences[i] -= errors[i];
  return is_above_zero(differences, 0.95);
}

HeldOut cross_validate(std::span<const Measured> rows, std::span<const FitTerms> sets,
                       std::optional<MacsPerByte> ridge_point, uint64_t seed) {
  const std::vector<Problem> problems = problems_of(rows, sets, ridge_point);
  const RowsOfNetworks networks = rows_by_network(rows);
  const Problem& chosen = best_problem(problems, rows, networks, seed);
  const bool chooses_in_each = networks.size() <= kLeaveOneOutUpTo;
  const auto parts =
      parts_of(networks, sets.size() == 1 ? kLeaveOneOutUpTo : kChooseByOneUpTo, seed);
  HeldOut held_out = empty_predictions(rows.size());
  held_out.unknowns = chosen.unknowns;
  std::vector<double> weights(rows.size(), 1.0);
  for (const std::vector<size_t>& part : parts) {
    set_weights(weights, part, 0);
    RowsOfNetworks others;
    std::vector<const Measured*> train, test;
    for (const std::vector<size_t>& network : networks) {
      const bool is_counted = weights[network[0]] > 0;
      if (is_counted) others.push_back(network);
      for (size_t row : network) {
        if (is_counted) train.push_back(&rows[row]);
      }
    }
    const Problem& problem = chooses_in_each ? best_problem(problems, rows, others, seed) : chosen;
    const Fit fitted = problem.of.fit(weights).fit;
    for (size_t row : part) {
      held_out.roofline[row] = fitted.predict(rows[row].work).value;
      test.push_back(&rows[row]);
    }
    predict_baselines(train, test, part, held_out);
    set_weights(weights, part, 1);
  }
  return held_out;
}

HeldOut hold_out(std::span<const Measured> train, std::span<const Measured> test,
                 const FitTerms& terms, std::optional<MacsPerByte> ridge_point) {
  HeldOut held_out = empty_predictions(test.size());
  const Fit fitted = fit(train, terms, ridge_point);
  std::vector<const Measured*> seen, unseen;
  std::vector<size_t> places;
  for (const Measured& row : train) seen.push_back(&row);
  for (const Measured& row : test) {
    held_out.roofline[unseen.size()] = fitted.predict(row.work).value;
    places.push_back(unseen.size());
    unseen.push_back(&row);
  }
  predict_baselines(seen, unseen, places, held_out);
  return held_out;
}

}  // namespace ridgewalk
