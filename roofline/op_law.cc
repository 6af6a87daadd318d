#include "roofline/op_law.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>

#include "roofline/nonnegative.h"
#include "roofline/statistics.h"

namespace ridgewalk {
namespace {

// What a law's coefficients multiply: 1 s, 1e9 MACs (elements where there are none), and the read
// times.
enum Term { kOverhead, kMacs, kWeights, kInput, kOutput, kTerms };
using Terms = std::array<double, kTerms>;

// Weights share the caches with the activations that pass through, and with a machine's other
// tenants: as if there were this many times as many of them. Of 1, 1.5, 2 and 3, the values 2 and 3
// gave the least error on held-out networks.
constexpr double kCrowding = 2;

// Works on each output value of the op before it, as part of that op.
bool runs_inside(OpKind kind) {
  return kind == OpKind::kActivation || kind == OpKind::kSigmoid || kind == OpKind::kHardSigmoid;
}

std::vector<Terms> terms_of(const Graph& graph, DataType type, const ReadBandwidths& bandwidths,
                            int batch = 1) {
  const std::vector<OpCost> costs = op_costs(graph);
  const double width = bytes_per_element(type);
  Bytes all_weights;
  for (const OpCost& cost : costs) all_weights += {width * double(cost.weight_elements)};
  std::vector<Terms> result;
  for (size_t i = 0; i < costs.size(); ++i) {
    const Op& op = graph.ops[i];
    const Bytes weights{width * double(costs[i].weight_elements)};
    const auto size_of = [&](const Op& value) {
      return Bytes{width * batch * double(value.output.elements())};
    };
    const Bytes output = size_of(op);
    Bytes input;
    for (int index : op.inputs) input += size_of(graph.ops[size_t(index)]);
    const auto time = [&](Bytes moved, Bytes set) {
      return read_time(moved, set, bandwidths).value;
    };
    const double elements = 1e-9 * batch * double(op.output.elements());
    if (op.kind == OpKind::kAdd) {  // inside the op that ends the branch: only the skip is read
      result.push_back({0, 0, 0, time(output, output), 0});
    } else if (runs_inside(op.kind)) {
      result.push_back({0, elements, 0, 0, 0});
    } else {
      const double macs = 1e-9 * batch * costs[i].macs.value;
      result.push_back({1, macs > 0 ? macs : elements, time(weights, kCrowding * all_weights),
                        time(input, input + output), time(output, input + output)});
    }
  }
  return result;
}

Terms coefficients(const OpLaw& law) {
  return {law.overhead_us * 1e-6, law.gmacs ? 1 / *law.gmacs : 0, law.weights, law.input,
          law.output};
}

double dot(const Terms& a, const Terms& b) {
  double sum = 0;
  for (size_t i = 0; i < kTerms; ++i) sum += a[i] * b[i];
  return sum;
}

// A step and the terms of its ops by kind. Its first op leads: the others run inside it.
struct Row {
  std::map<std::string, Terms> kinds;
  std::string leader;
  double seconds = 0;
  double network_seconds = 0;
  double weight = 1;
};

std::vector<Row> rows_of(const std::vector<TimedStep>& steps, DataType type,
                         const ReadBandwidths& bandwidths) {
  std::map<const Graph*, double> whole;
  std::map<const Graph*, std::vector<Terms>> terms;
  for (const TimedStep& step : steps) {
    if (!(step.seconds.value > 0)) throw std::invalid_argument("a step that took no time");
    whole[step.graph] += step.seconds.value;
    if (!terms.contains(step.graph)) {
      terms[step.graph] = terms_of(*step.graph, type, bandwidths);
    }
  }
  std::vector<Row> rows;
  for (const TimedStep& step : steps) {
    Row row{.kinds = {},
            .leader = {},
            .seconds = step.seconds.value,
            .network_seconds = whole[step.graph],
            .weight = step.weight};
    for (int index : step.ops) {
      const std::string kind = law_kind(*step.graph, step.graph->ops[size_t(index)]);
      const Terms& added = terms[step.graph][size_t(index)];
      Terms& sum = row.kinds[kind];
      for (size_t i = 0; i < kTerms; ++i) sum[i] += added[i];
      if (row.leader.empty()) row.leader = kind;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// Columns are scaled to norm 1 first, so that the solver's tolerances fit all of them.
Eigen::VectorXd solve(const Eigen::MatrixXd& matrix, const Eigen::VectorXd& wanted) {
  const Eigen::VectorXd scale = matrix.colwise().norm().cwiseMax(1e-300).transpose();
  const Eigen::MatrixXd scaled = matrix * scale.cwiseInverse().asDiagonal();
  return nonnegative_least_squares(scaled.transpose() * scaled, scaled.transpose() * wanted)
      .cwiseQuotient(scale);
}

// A rate or share that makes up less than half a percent of its kind is not determined by the data,
// and would say something wrong of the machine. An overhead is small only in large networks.
void drop_the_trivial(const std::vector<Row>& rows,
                      const std::map<std::string, Eigen::Index>& first, Eigen::VectorXd& found) {
  constexpr double kTrivial = 0.005;
  std::map<std::string, Terms> sums;
  for (const Row& row : rows) {
    for (const auto& [kind, sum] : row.kinds) {
      for (size_t i = 0; i < kTerms; ++i) sums[kind][i] += sum[i];
    }
  }
  for (const auto& [kind, column] : first) {
    Terms shares = sums[kind];
    for (size_t i = 0; i < kTerms; ++i) shares[i] *= found[column + Eigen::Index(i)];
    const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (size_t i = kMacs; i < kTerms; ++i) {
      if (shares[i] < kTrivial * all) found[column + Eigen::Index(i)] = 0;
    }
  }
}

}  // namespace

Seconds read_time(Bytes moved, Bytes set, const ReadBandwidths& bandwidths) {
  if (bandwidths.empty()) throw std::invalid_argument("no bandwidth is known");
  const auto above = std::find_if(bandwidths.begin(), bandwidths.end(),
                                  [&](const ReadBandwidth& b) { return b.set >= set; });
  if (above == bandwidths.begin()) return moved / above->bandwidth;
  const ReadBandwidth& low = *(above - 1);
  if (above == bandwidths.end()) return moved / low.bandwidth;
  const double place = std::log(set / low.set) / std::log(above->set / low.set);
  return moved /
         BytesPerSecond{low.bandwidth.value * std::pow(above->bandwidth / low.bandwidth, place)};
}

std::string law_kind(const Graph& graph, const Op& op) {
  std::string kind(to_string(op.kind));
  const auto window = [&](const std::string& name) {
    const std::string size = std::to_string(op.kernel);
    return name + " " + size + "x" + size +
           (op.stride > 1 ? " stride " + std::to_string(op.stride) : "");
  };
  switch (op.kind) {
    case OpKind::kInput:
      return "image";
    case OpKind::kConv: {
      const Shape& input = graph.ops[size_t(op.inputs[0])].output;
      if (input.height == 1 && input.width == 1) return "linear";
      if (op.groups > 1) return window("grouped " + kind);
      return window(op.inputs[0] == 0 ? "stem" : kind);
    }
    case OpKind::kDepthwise:
      return window(kind);
    case OpKind::kActivation:
      return kind + " " + std::string(to_string(op.activation));
    default:
      return kind;
  }
}

std::vector<OpLaw> slowed(std::vector<OpLaw> laws, double factor) {
  for (OpLaw& law : laws) {
    law.overhead_us *= factor;
    if (law.gmacs) *law.gmacs /= factor;
    for (double* share : {&law.weights, &law.input, &law.output}) *share *= factor;
  }
  return laws;
}

std::vector<OpLaw> fit_op_laws(const std::vector<TimedStep>& steps, DataType type,
                               const ReadBandwidths& bandwidths) {
  const std::vector<Row> rows = rows_of(steps, type, bandwidths);
  std::map<std::string, Eigen::Index> first;  // column of a kind
  for (const Row& row : rows) {
    for (const auto& [kind, unused] : row.kinds) first.emplace(kind, 0);
  }
  Eigen::Index columns = 0;
  for (auto& [kind, column] : first) column = columns, columns += kTerms;

  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(Eigen::Index(rows.size()), columns);
  Eigen::VectorXd wanted(Eigen::Index(rows.size()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const double weight = std::sqrt(rows[i].weight / (rows[i].seconds * rows[i].network_seconds));
    for (const auto& [kind, sum] : rows[i].kinds) {
      for (Eigen::Index term = 0; term < kTerms; ++term) {
        matrix(Eigen::Index(i), first[kind] + term) = weight * sum[size_t(term)];
      }
    }
    wanted[Eigen::Index(i)] = weight * rows[i].seconds;
  }
  Eigen::VectorXd found = solve(matrix, wanted);
  drop_the_trivial(rows, first, found);

  std::map<std::string, OpLaw> laws;
  for (const auto& [kind, column] : first) {
    OpLaw& law = laws[kind];
    law = {.kind = kind,
           .overhead_us = four_digits(1e6 * found[column + kOverhead]),
           .weights = four_digits(found[column + kWeights]),
           .input = four_digits(found[column + kInput]),
           .output = four_digits(found[column + kOutput])};
    if (found[column + kMacs] > 0) law.gmacs = four_digits(1 / found[column + kMacs]);
  }
  for (const TimedStep& step : steps) {
    for (int op : step.ops) ++laws[law_kind(*step.graph, step.graph->ops[size_t(op)])].ops;
  }
  std::map<std::string, std::vector<double>> errors;
  for (const Row& row : rows) {
    double predicted = 0;
    for (const auto& [kind, sum] : row.kinds) predicted += dot(coefficients(laws[kind]), sum);
    errors[row.leader].push_back(std::abs(predicted / row.seconds - 1));
  }
  std::vector<OpLaw> result;
  for (auto& [kind, law] : laws) {
    if (errors.contains(kind)) law.spread.error = four_digits(quantile(errors[kind], 0.5));
    result.push_back(law);
  }
  return result;
}

std::vector<std::optional<OpByLaw>> ops_by_law(const Graph& graph, DataType type,
                                               const std::vector<OpLaw>& laws,
                                               const ReadBandwidths& bandwidths, int batch) {
  const std::vector<Terms> terms = terms_of(graph, type, bandwidths, batch);
  const std::vector<OpCost> costs = op_costs(graph);
  std::vector<std::optional<OpByLaw>> ops(graph.ops.size());
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const std::string kind = law_kind(graph, graph.ops[i]);
    const auto law =
        std::find_if(laws.begin(), laws.end(), [&](const OpLaw& one) { return one.kind == kind; });
    if (law == laws.end()) continue;
    Terms factors = coefficients(*law);
    const double weights = double(costs[i].weight_elements) * bytes_per_element(type);
    const Bytes waited{factors[kWeights] * weights};
    factors[kWeights] = 0;
    ops[i] = {{dot(factors, terms[i])}, waited};
  }
  return ops;
}

Seconds wait_for_weights(Bytes waited, Bytes weights, const ReadBandwidths& bandwidths) {
  return read_time(waited, kCrowding * weights, bandwidths);
}

std::pair<Seconds, Seconds> wait_per_byte(Bytes fewest, Bytes most,
                                          const ReadBandwidths& bandwidths) {
  // Between measured sets the bandwidth is monotonic.
  std::vector<double> seconds;
  for (Bytes weights : {fewest, most}) {
    seconds.push_back(wait_for_weights({1}, weights, bandwidths).value);
  }
  for (const ReadBandwidth& one : bandwidths) {
    if (kCrowding * fewest <= one.set && one.set <= kCrowding * most) {
      seconds.push_back(read_time({1}, one.set, bandwidths).value);
    }
  }
  const auto [least, longest] = std::minmax_element(seconds.begin(), seconds.end());
  return {{*least}, {*longest}};
}

std::vector<std::optional<Seconds>> op_times(const Graph& graph, DataType type,
                                             const std::vector<OpLaw>& laws,
                                             const ReadBandwidths& bandwidths, int batch) {
  Bytes weights;
  for (const OpCost& cost : op_costs(graph)) {
    weights += {double(cost.weight_elements) * bytes_per_element(type)};
  }
  std::vector<std::optional<Seconds>> times;
  for (const auto& op : ops_by_law(graph, type, laws, bandwidths, batch)) {
    times.emplace_back();
    if (op) times.back() = op->seconds + wait_for_weights(op->waited, weights, bandwidths);
  }
  return times;
}

}  // namespace ridgewalk
