#include "roofline/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "roofline/nonnegative.h"
#include "space/error.h"

namespace ridgewalk {
namespace {

constexpr double kHighestRidgePoint = 1000;
constexpr double kLowestRidgePoint = 0.05;  // below it only 0 is tried
constexpr double kHighestDepthwiseCost = 64;

using Networks = std::vector<const Measured*>;

Networks all_of(const std::vector<Measured>& rows) {
  Networks pointers;
  for (const Measured& row : rows) pointers.push_back(&row);
  return pointers;
}

RowsOfNetworks rows_by_network(const std::vector<Measured>& rows) {
  std::vector<std::string> networks;
  for (const Measured& row : rows) networks.push_back(row.network);
  return rows_of_networks(networks);
}

size_t count_networks(const Networks& rows) {
  std::set<std::string_view> names;
  for (const Measured* row : rows) names.insert(row->network);
  return names.size();
}

size_t unknowns_of(const FitTerms& terms, std::optional<MacsPerByte> ridge_point) {
  return 1u + !ridge_point + terms.depthwise_cost + terms.op_overhead + terms.floor;
}

Macs roofline_macs(const NetworkWork& work, MacsPerByte ridge_point, double depthwise_cost) {
  // max(c m, r b) = c max(m, (r / c) b)
  return latency_at(work.dense, ridge_point) +
         depthwise_cost * latency_at(work.depthwise, {ridge_point.value / depthwise_cost});
}

struct Candidate {
  Fit fit;
  double loss = std::numeric_limits<double>::infinity();
};

// Everything but ridge point and depthwise cost, exactly. Columns are scaled to be near 1: in units
// of the first network.
Candidate fit_linear(const Networks& networks, const FitTerms& terms, MacsPerByte ridge_point,
                     double depthwise_cost) {
  const auto columns = [&](const Measured& network) {
    return Eigen::Vector3d(roofline_macs(network.work, ridge_point, depthwise_cost).value,
                           network.work.ops, 1);
  };
  const Eigen::Vector3d scale = columns(*networks[0]) / networks[0]->latency.value;
  Eigen::Matrix3d products = Eigen::Matrix3d::Zero();
  Eigen::Vector3d sums = Eigen::Vector3d::Zero();
  for (const Measured* network : networks) {
    const Eigen::Vector3d row = (columns(*network) / network->latency.value).cwiseQuotient(scale);
    products += row * row.transpose();
    sums += row;
  }
  for (int i : {1, 2}) {
    if (i == 1 ? terms.op_overhead : terms.floor) continue;
    products.row(i).setZero();
    products.col(i).setZero();
    sums[i] = 0;
  }
  const Eigen::Vector3d factors = nonnegative_least_squares(products, sums);
  return {
      .fit = {.ridge_point = ridge_point,
              .seconds_per_mac = factors[0] / scale[0],
              .depthwise_cost = depthwise_cost,
              .op_overhead = {factors[1] / scale[1]},
              .floor = {factors[2] / scale[2]}},
      .loss = double(networks.size()) - 2 * factors.dot(sums) + factors.dot(products * factors)};
}

// The lowest of f over exp(u), u in [low, high]: a grid, then golden sections around its best.
template <class F>
Candidate search_log(double low, double high, int grid, int refinements, F f) {
  Candidate best;
  const double step = (std::log(high) - std::log(low)) / (grid - 1);
  double best_u = std::log(low);
  for (int i = 0; i < grid; ++i) {
    const double u = std::log(low) + i * step;
    const Candidate candidate = f(std::exp(u));
    if (candidate.loss < best.loss) best = candidate, best_u = u;
  }
  constexpr double kGolden = 0.6180339887498949;
  double a = std::max(std::log(low), best_u - step), b = std::min(std::log(high), best_u + step);
  double c = b - kGolden * (b - a), d = a + kGolden * (b - a);
  Candidate at_c = f(std::exp(c)), at_d = f(std::exp(d));
  for (int i = 0; i < refinements; ++i) {
    if (at_c.loss < at_d.loss) {
      b = d, d = c, at_d = at_c;
      at_c = f(std::exp(c = b - kGolden * (b - a)));
    } else {
      a = c, c = d, at_c = at_d;
      at_d = f(std::exp(d = a + kGolden * (b - a)));
    }
  }
  for (const Candidate& candidate : {at_c, at_d}) {
    if (candidate.loss < best.loss) best = candidate;
  }
  return best;
}

Candidate fit_ridge_point(const Networks& networks, const FitTerms& terms,
                          std::optional<MacsPerByte> ridge_point, double depthwise_cost) {
  if (ridge_point) return fit_linear(networks, terms, *ridge_point, depthwise_cost);
  const auto at = [&](double value) {
    return fit_linear(networks, terms, {value}, depthwise_cost);
  };
  const Candidate without = at(0);
  const Candidate best = search_log(kLowestRidgePoint, kHighestRidgePoint, 41, 18, at);
  return without.loss <= best.loss ? without : best;
}

double baseline_work(const NetworkWork& work, Baseline baseline) {
  switch (baseline) {
    case Baseline::kMacs:
      return work.macs.value;
    case Baseline::kOps:
      return work.ops;
    case Baseline::kBytes:
      return work.bytes.value;
    case Baseline::kConstant:
      return 1;
  }
  return 1;
}

double fit_baseline(const Networks& networks, Baseline baseline) {
  std::vector<double> work, latencies;
  for (const Measured* network : networks) {
    work.push_back(baseline_work(network->work, baseline));
    latencies.push_back(network->latency.value);
  }
  return best_factor(work, latencies);
}

void predict_into(HeldOut& held_out, const Networks& train, const Networks& test,
                  const std::vector<size_t>& places, const FitTerms& terms,
                  std::optional<MacsPerByte> ridge_point) {
  const Fit fitted = fit(train, terms, ridge_point);
  for (size_t i = 0; i < test.size(); ++i) {
    held_out.roofline[places[i]] = fitted.predict(test[i]->work).value;
  }
  for (size_t b = 0; b < std::size(kValues<Baseline>); ++b) {
    const double factor = fit_baseline(train, kValues<Baseline>[b]);
    for (size_t i = 0; i < test.size(); ++i) {
      held_out.baselines[b][places[i]] =
          factor * baseline_work(test[i]->work, kValues<Baseline>[b]);
    }
  }
}

HeldOut empty_predictions(size_t networks) {
  return {.roofline = std::vector<double>(networks),
          .baselines = std::vector(std::size(kValues<Baseline>), std::vector<double>(networks))};
}

}  // namespace

NetworkWork network_work(const std::string& name, const Graph& graph, DataType type,
                         ByteConvention convention) {
  NetworkWork work{.name = name, .dense = {}, .depthwise = {}};
  std::vector<OpCost> dense, depthwise;
  const std::vector<OpCost> costs = op_costs(graph, convention);
  for (size_t i = 0; i < costs.size(); ++i) {
    (graph.ops[i].kind == OpKind::kDepthwise ? depthwise : dense).push_back(costs[i]);
    work.macs += costs[i].macs;
    work.bytes += bytes(costs[i], type);
    work.ops += costs[i].macs.value > 0;
  }
  work.dense = latency_curve(dense, type);
  work.depthwise = latency_curve(depthwise, type);
  return work;
}

Seconds Fit::predict(const NetworkWork& work) const {
  return {seconds_per_mac * roofline_macs(work, ridge_point, depthwise_cost).value +
          op_overhead.value * work.ops + floor.value};
}

Fit fit(const Networks& networks, const FitTerms& terms, std::optional<MacsPerByte> ridge_point) {
  const size_t unknowns = unknowns_of(terms, ridge_point), distinct = count_networks(networks);
  if (distinct < unknowns) {
    throw Error("a fit of " + std::to_string(unknowns) +
                " figures needs at least as many networks; there are " + std::to_string(distinct));
  }
  if (!terms.depthwise_cost) return fit_ridge_point(networks, terms, ridge_point, 1).fit;
  return search_log(
             1, kHighestDepthwiseCost, 9, 10,
             [&](double cost) { return fit_ridge_point(networks, terms, ridge_point, cost); })
      .fit;
}

HeldOut cross_validate(const std::vector<Measured>& networks, const FitTerms& terms,
                       std::optional<MacsPerByte> ridge_point, uint64_t seed) {
  constexpr size_t kLeaveOneOutUpTo = 60;
  constexpr size_t kParts = 10;
  const RowsOfNetworks rows = rows_by_network(networks);
  const size_t n = rows.size();
  const size_t parts = n <= kLeaveOneOutUpTo ? n : kParts;
  const size_t unknowns = unknowns_of(terms, ridge_point);
  if (n <= unknowns) {
    throw Error("a fit of " + std::to_string(unknowns) + " figures, judged on networks held out, " +
                "needs at least " + std::to_string(unknowns + 1) + " networks; there are " +
                std::to_string(n));
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  HeldOut held_out = empty_predictions(networks.size());
  for (size_t part = 0; part < parts; ++part) {
    Networks train, test;
    std::vector<size_t> places;
    for (size_t i = 0; i < n; ++i) {
      for (size_t row : rows[order[i]]) {
        if (i % parts == part) places.push_back(row);
        (i % parts == part ? test : train).push_back(&networks[row]);
      }
    }
    predict_into(held_out, train, test, places, terms, ridge_point);
  }
  return held_out;
}

HeldOut hold_out(const std::vector<Measured>& train, const std::vector<Measured>& test,
                 const FitTerms& terms, std::optional<MacsPerByte> ridge_point) {
  HeldOut held_out = empty_predictions(test.size());
  std::vector<size_t> places(test.size());
  std::iota(places.begin(), places.end(), size_t{0});
  predict_into(held_out, all_of(train), all_of(test), places, terms, ridge_point);
  return held_out;
}

RidgeCertainty ridge_certainty(const std::vector<Measured>& networks, const FitTerms& terms,
                               uint64_t seed) {
  const RowsOfNetworks rows = rows_by_network(networks);
  if (rows.size() < kFewestResampled) return {};
  // A resample of thousands of networks costs a whole fit; they need fewer of them.
  const int resamples = rows.size() <= 200 ? 200 : 40;
  std::vector<double> ridge_points;
  resample(rows.size(), resamples, seed, [&](const std::vector<size_t>& drawn) {
    Networks sample;
    for (size_t network : drawn) {
      for (size_t row : rows[network]) sample.push_back(&networks[row]);
    }
    if (count_networks(sample) < unknowns_of(terms, std::nullopt)) return;
    ridge_points.push_back(fit(sample, terms).ridge_point.value);
  });
  const Interval ends = middle(ridge_points, 0.9);
  const bool is_inside = ends.low > kLowestRidgePoint && ends.high < 0.99 * kHighestRidgePoint;
  return {.interval = percentile_interval(rows.size(), ridge_points, 0.9),
          .is_determined = is_inside && ends.high <= 2 * ends.low};
}

}  // namespace ridgewalk
