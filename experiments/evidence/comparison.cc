#include "experiments/evidence/comparison.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "roofline/cost.h"
#include "roofline/statistics.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// Of several targets, the one that is missed by most.
std::optional<double> worst_of_target(const NetworkRecord& network) {
  if (network.of_target.empty()) return std::nullopt;
  return *std::max_element(network.of_target.begin(), network.of_target.end());
}

// A network with all figures that are known.
struct Compared {
  Origin origin;
  std::map<ComparedFigure, double> figures;
};

Compared compared(const NetworkRecord& network) {
  const NetworkCost cost = network_cost(lower(network.architecture));
  const Build build = build_of(network.architecture);
  Compared result{.origin = network.origin,
                  .figures = {{ComparedFigure::kParameters, double(cost.parameters)},
                              {ComparedFigure::kMacs, cost.macs.value},
                              {ComparedFigure::kUibs, build.uibs},
                              {ComparedFigure::kMeanWidth, build.width},
                              {ComparedFigure::kMeanExpansion, build.expansion},
                              {ComparedFigure::kSearchSeconds, network.origin.search_seconds}}};
  const auto set = [&](ComparedFigure figure, std::optional<double> value) {
    if (value) result.figures[figure] = *value;
  };
  set(ComparedFigure::kOfTarget, worst_of_target(network));
  set(ComparedFigure::kSharedTop1, network.shared_top1);
  set(ComparedFigure::kHeldOutTop1, search_validation_top1(network));
  set(ComparedFigure::kTestTop1, test_top1(network));
  return result;
}

// Networks of several ways and seeds.
class Table {
 public:
  explicit Table(const std::vector<NetworkRecord>& networks) {
    for (const NetworkRecord& network : networks) {
      rows_.push_back(compared(network));
      seeds_.insert(network.origin.seed);
    }
  }

  // Of the networks of a way, or of one seed of it, that have the figure.
  std::vector<double> values(Way way, ComparedFigure figure,
                             std::optional<uint64_t> seed = {}) const {
    std::vector<double> values;
    for (const Compared& row : rows_) {
      if (row.origin.way != way || (seed && row.origin.seed != *seed)) continue;
      const auto found = row.figures.find(figure);
      if (found != row.figures.end()) values.push_back(found->second);
    }
    return values;
  }

  // What the seeds of a way differ by: the random networks of one seed are one draw of it.
  std::vector<double> draws(Way way, ComparedFigure figure) const {
    if (way != Way::kRandomNetworks || seeds_.size() == 1) return values(way, figure);
    std::vector<double> means;
    for (uint64_t seed : seeds_) {
      const std::vector<double> own = values(way, figure, seed);
      if (!own.empty()) means.push_back(mean(own));
    }
    return means;
  }

  // Networks of a seed share its data split and training seed, so differences are taken within a
  // seed.
  std::optional<Estimate> difference(Way way, Way other, ComparedFigure figure) const {
    std::vector<double> differences;
    for (uint64_t seed : seeds_) {
      const std::vector<double> own = values(way, figure, seed);
      const std::vector<double> theirs = values(other, figure, seed);
      if (!own.empty() && !theirs.empty()) differences.push_back(mean(own) - mean(theirs));
    }
    return paired_estimate(differences);
  }

 private:
  std::vector<Compared> rows_;
  std::set<uint64_t> seeds_;
};

std::string estimated(const WaySummary& summary, ComparedFigure figure, double scale, int digits) {
  const auto found = summary.figures.find(figure);
  return found == summary.figures.end() ? "-" : estimate_text(found->second, scale, digits);
}

std::string networks_text(const std::vector<NetworkRecord>& networks) {
  std::string text =
      fmt::format("{:<16} {:>4} {:<22} {:>9} {:>11} {:>10} {:>5} {:>6} {:>6} {:>8} {:>8} {:>8}\n",
                  "way", "seed", "network", "of target", "parameters", "MACs", "UIBs", "width",
                  "expand", "shared", "val.", "test");
  const auto percent = [](std::optional<double> share) {
    return share ? fmt::format("{:.2f} %", 100 * *share) : "-";
  };
  for (const NetworkRecord& network : networks) {
    const NetworkCost cost = network_cost(lower(network.architecture));
    const Build build = build_of(network.architecture);
    const auto ratio = worst_of_target(network);
    text += fmt::format(
        "{:<16} {:>4} {:<22} {:>9} {:>11} {:>10.0f} {:>5} {:>6.1f} {:>6.2f} {:>8} {:>8} {:>8}\n",
        to_string(network.origin.way), network.origin.seed, network.architecture.name,
        ratio ? fmt::format("{:.3f}", *ratio) : "-", cost.parameters, cost.macs.value, build.uibs,
        build.width, build.expansion, percent(network.shared_top1),
        percent(search_validation_top1(network)), percent(test_top1(network)));
  }
  return text;
}

std::string summary_text(const std::vector<WaySummary>& summary) {
  std::string text =
      fmt::format("{:<16} {:>4} {:>16} {:>16} {:>16} {:>18} {:>18} {:>22}\n", "way", "n",
                  "of target", "width", "expansion", "shared %", "test %", "over random");
  for (const WaySummary& row : summary) {
    std::string over = "-";
    if (row.over_random) {
      over = fmt::format("{:+.2f} ({:.1f} s.e.)", 100 * row.over_random->mean,
                         row.over_random->mean / row.over_random->error);
    }
    text +=
        fmt::format("{:<16} {:>4} {:>17} {:>17} {:>17} {:>19} {:>19} {:>22}\n", to_string(row.way),
                    row.networks, estimated(row, ComparedFigure::kOfTarget, 1, 3),
                    estimated(row, ComparedFigure::kMeanWidth, 1, 1),
                    estimated(row, ComparedFigure::kMeanExpansion, 1, 2),
                    estimated(row, ComparedFigure::kSharedTop1, 100, 2),
                    estimated(row, ComparedFigure::kTestTop1, 100, 2), over);
  }
  for (const WaySummary& row : summary) {
    if (!row.over_one_stage) continue;
    const Estimate& points = *row.over_one_stage;
    text += fmt::format("\ntwo-stage less one-stage: {:+.2f} points [{:+.2f}, {:+.2f}]",
                        100 * points.mean, 100 * points.low(), 100 * points.high());
    if (row.over_one_stage_of_target) {
      text += fmt::format(" at {:+.1f} % of the target's latency",
                          100 * row.over_one_stage_of_target->mean);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

Build build_of(const Architecture& architecture) {
  Build build;
  int width = architecture.stem.width;
  for (const auto& stage : architecture.stages) {
    for (const Block& block : stage) {
      if (const auto* uib = std::get_if<Uib>(&block)) {
        ++build.uibs;
        build.width += uib->width;
        build.expansion += double(uib->expanded) / width;
      }
      width = output_width(block, width);
    }
  }
  if (build.uibs > 0) build.width /= build.uibs, build.expansion /= build.uibs;
  return build;
}

std::vector<WaySummary> summarize(const std::vector<NetworkRecord>& networks) {
  const Table table(networks);
  std::vector<WaySummary> summary;
  for (Way way : kValues<Way>) {
    WaySummary row{.way = way, .networks = table.values(way, ComparedFigure::kTestTop1).size()};
    if (row.networks == 0) continue;
    for (ComparedFigure figure : kValues<ComparedFigure>) {
      const std::vector<double> values = table.draws(way, figure);
      if (!values.empty()) row.figures[figure] = estimate(values);
    }
    if (way != Way::kRandomNetworks) {
      row.over_random = table.difference(way, Way::kRandomNetworks, ComparedFigure::kTestTop1);
    }
    if (way == Way::kTwoStage) {
      row.over_one_stage = table.difference(way, Way::kOneStage, ComparedFigure::kTestTop1);
      row.over_one_stage_of_target =
          table.difference(way, Way::kOneStage, ComparedFigure::kOfTarget);
    }
    row.against_best_random = against_best_random(way, networks);
    summary.push_back(std::move(row));
  }
  return summary;
}

Json summary_json(const std::vector<WaySummary>& summary) {
  Json list = Json::array();
  for (const WaySummary& row : summary) {
    Json json = {{"way", to_string(row.way)}, {"networks", row.networks}};
    for (ComparedFigure figure : kValues<ComparedFigure>) {
      const auto found = row.figures.find(figure);
      json[std::string(to_string(figure))] =
          found == row.figures.end() ? Json() : estimate_json(found->second);
    }
    if (row.over_random) json["over_random"] = paired_json(*row.over_random);
    if (row.over_one_stage) {
      json["over_one_stage"] = paired_json(*row.over_one_stage);
      json["over_one_stage"]["of_target"] =
          row.over_one_stage_of_target ? paired_json(*row.over_one_stage_of_target) : Json();
    }
    if (row.against_best_random) json["best_random"] = against_json(*row.against_best_random);
    list.push_back(std::move(json));
  }
  return list;
}

Json compared_json(const std::vector<NetworkRecord>& networks) {
  Json list = Json::array();
  for (const NetworkRecord& network : networks) {
    const NetworkCost cost = network_cost(lower(network.architecture));
    const Build build = build_of(network.architecture);
    const auto best = best_random(network, networks);
    list.push_back(
        {{"way", to_string(network.origin.way)},
         {"seed", network.origin.seed},
         {"network", network.architecture.name},
         {"parameters", cost.parameters},
         {"macs", cost.macs.value},
         {"of_target", network.of_target},
         {"uibs", build.uibs},
         {"mean_width", build.width},
         {"mean_expansion", build.expansion},
         {"shared_search_validation_top1", value_or_null(network.shared_top1)},
         {"scratch_search_validation_top1", value_or_null(search_validation_top1(network))},
         {"scratch_test_top1", value_or_null(test_top1(network))},
         {"budget_networks", best ? Json(best->count) : Json()},
         {"best_random_test_top1", best ? Json(best->test_top1) : Json()},
         {"search_seconds", network.origin.search_seconds}});
  }
  return list;
}

std::string comparison_text(const std::vector<WaySummary>& summary,
                            const std::vector<NetworkRecord>& networks) {
  std::vector<WayAgainstBestRandom> against;
  for (const WaySummary& row : summary) {
    if (row.against_best_random) against.push_back({row.way, *row.against_best_random});
  }
  return networks_text(networks) + "\n" + summary_text(summary) + best_random_text(against) +
         "\n±: 95 % interval of the mean (Student's t; the random networks of a seed count as "
         "one). shared: search-validation; test: from scratch.\n";
}

}  // namespace ridgewalk
