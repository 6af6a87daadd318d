#include "experiments/evidence/comparison.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "experiments/evidence/estimate.h"
#include "experiments/run/fingerprint.h"
#include "roofline/latency.h"
#include "roofline/statistics.h"
#include "space/error.h"
#include "space/file.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

constexpr Way kWays[] = {Way::kTwoStage, Way::kOneStage, Way::kRandomSearch, Way::kEvolution,
                         Way::kRandomNetworks};

std::vector<SearchStage> stages_of(Way way) {
  if (way == Way::kTwoStage) return {SearchStage::kCoarse, SearchStage::kFine};
  if (way == Way::kRandomNetworks) return {};
  return {SearchStage::kSingle};
}

// The method of each stage is the way's, whatever the configuration says.
SearchConfig config_of(SearchConfig config, Way way) {
  const bool learns = way == Way::kTwoStage || way == Way::kOneStage;
  for (SearchStage stage : stages_of(way)) {
    config.stages.at(stage).tunas.method = learns ? SearchMethod::kTunas : SearchMethod::kRandom;
  }
  return config;
}

int64_t training_images(const SearchConfig& config, Way way) {
  int64_t images = 0;
  for (SearchStage stage : stages_of(way)) {
    const TunasOptions& tunas = config.stages.at(stage).tunas;
    images += int64_t(tunas.steps) * tunas.samples_per_step * config.weights.batch_size;
  }
  return images;
}

// The run in `folder`: gone on with where there is one.
RunFolder open_run(const std::string& folder, const SearchConfig& config, Way way,
                   const Dataset& data, const Session& session) {
  const std::string fingerprint =
      fmt::format("{}\n{}\n{}{}{}{}{}", config.resolved, to_yaml(config.space), to_string(way),
                  fingerprint_of(config.reward), fingerprint_of(config.weights.distillation, data),
                  fingerprint_of(config.train.distillation, data), fingerprint_of(session.compute));
  RunFolder run = std::filesystem::exists(folder + "/checkpoint.safetensors")
                      ? RunFolder::resume(folder, fingerprint)
                      : RunFolder::create(folder, fingerprint);
  write_file(run.file("config.yaml"), config.resolved);
  return run;
}

Entry entry_of(RunFolder& run, const SearchConfig& config, Way way, const std::string& name,
               Architecture architecture, const Dataset& data, const Session& session) {
  architecture.name = name;
  write_file(run.file(name + ".yaml"), to_yaml(architecture));
  TrainOptions options = config.train;
  options.seed = mix(config.seed, 500);
  const Graph graph = lower(architecture);
  std::vector<Macs> taken;
  for (MacsPerByte point : config.reward.ridge_points()) taken.push_back(latency(graph, point));
  return {.way = way,
          .seed = config.seed,
          .architecture = architecture,
          .of_target = config.reward.ratios(taken),
          .shared = {},
          .trained = training_phase(run, name, architecture, options, data, session)};
}

// Of the space, at the targets' latency.
std::vector<Architecture> random_members(const SearchConfig& config, int count) {
  const SearchSpace space = searched_space(config.space, SearchStage::kSingle, std::nullopt);
  const CostTable table(space, config.reward.ridge_points());
  std::mt19937_64 random(mix(config.seed, 300));
  std::vector<Architecture> members;
  for (const Decisions& decisions :
       samples_near_targets(space, table, config.reward, config.random_tolerance, count, random)) {
    members.push_back(decode(space, decisions));
  }
  if (int(members.size()) < count) {
    throw Error(
        fmt::format("space '{}' has but {} networks near the targets; give fewer "
                    "--random-networks or a larger random_tolerance",
                    space.name, members.size()));
  }
  return members;
}

Entry evolved(RunFolder& run, const SearchConfig& config, const Dataset& data,
              const Session& session) {
  const std::string phase = "evolution";
  const SearchSpace space = searched_space(config.space, SearchStage::kSingle, std::nullopt);
  if (!run.result(phase)) {
    const TrialOptions& trials = config.stages.at(SearchStage::kSingle).tunas.trials;
    Supernet supernet(space, data, config.weights, session.compute);
    load_weights(supernet_file(run.file("."), SearchStage::kSingle), supernet.parameters());
    const std::vector<Candidate> tried = trial_phase(
        run, phase, supernet, space, config.reward, trials.evaluations, mix(config.seed, 900),
        session, [&](const Trial& trial, std::mt19937_64& random) {
          return evolution(trial, trials, random);
        });
    const Candidate best = *std::min_element(tried.begin(), tried.end(), is_better);
    run.finish({{"best", candidate_json(best, config.reward)},
                {"architecture", to_yaml(decode(space, best.decisions))}});
  }
  const Json result = *run.result(phase);
  Entry entry = entry_of(run, config, Way::kEvolution, "found-by-evolution",
                         architecture_from_yaml(result["architecture"].get<std::string>(), phase),
                         data, session);
  entry.shared = result["best"]["accuracy"];
  entry.seconds = run.seconds(std::string(to_string(SearchStage::kSingle))) + run.seconds(phase);
  return entry;
}

// Of several targets, that which is missed by most.
Json largest(const Json& ratios) {
  return ratios.empty() ? Json() : *std::max_element(ratios.begin(), ratios.end());
}

}  // namespace

std::string to_string(Way way) {
  switch (way) {
    case Way::kTwoStage:
      return "two-stage";
    case Way::kOneStage:
      return "one-stage";
    case Way::kRandomSearch:
      return "random-search";
    case Way::kEvolution:
      return "evolution";
    case Way::kRandomNetworks:
      return "random-networks";
  }
  return "";
}

Way way_named(const std::string& name) {
  for (Way way : kWays) {
    if (name == to_string(way)) return way;
  }
  throw Error("no way to a network is named '" + name +
              "'; there are two-stage, one-stage, random-search, evolution, random-networks");
}

void check_comparison(const SearchConfig& config, const std::vector<Way>& ways, int random_networks,
                      const Dataset& data) {
  check_data(config, data);
  std::optional<int64_t> images;
  std::string other;  // way with as many
  for (Way way : ways) {
    for (SearchStage stage : stages_of(way)) {
      if (config.stages.contains(stage)) {
        if (config.stages.at(stage).latency_factor == 1) continue;
        throw Error("section '" + std::string(to_string(stage)) +
                    "' has a latency_factor; ways are held to one target: leave it out");
      }
      throw Error("the configuration has no '" + std::string(to_string(stage)) + "' section; " +
                  to_string(way) + " needs it");
    }
    if (stages_of(way).empty()) {
      random_members(config, random_networks);
      continue;
    }
    const int64_t own = training_images(config, way);
    if (images && own != *images) {
      throw Error(
          fmt::format("{} would train on {} images, {} on {}: set the steps of the stages "
                      "so that they are alike",
                      to_string(way), own, other, *images));
    }
    images = own, other = to_string(way);
    check_search(config_of(config, way), stages_of(way), "", data);
  }
}

std::vector<Entry> run_way(const std::string& folder, const SearchConfig& base, Way way,
                           int random_networks, const Dataset& data, const Session& session) {
  const SearchConfig config = config_of(base, way);
  // Evolution goes over the supernet of its random search.
  const Way home = way == Way::kEvolution ? Way::kRandomSearch : way;
  RunFolder run = open_run(fmt::format("{}/{}-{}", folder, to_string(home), config.seed), config,
                           home, data, session);
  std::vector<Entry> entries;
  if (way == Way::kRandomNetworks) {
    for (const Architecture& architecture : random_members(config, random_networks)) {
      entries.push_back(entry_of(run, config, way, fmt::format("random-{:02}", entries.size() + 1),
                                 architecture, data, session));
    }
    return entries;
  }
  const std::vector<SearchStage> stages = stages_of(way);
  run_search(run, config, stages, {}, data, session);
  if (way == Way::kEvolution) return {evolved(run, config, data, session)};
  const Json result = *run.result(std::string(to_string(stages.back())));
  entries.push_back(entry_of(
      run, config, way, "found",
      architecture_from_yaml(result["architecture"].get<std::string>(), "result"), data, session));
  entries[0].shared = result["best"]["accuracy"];
  for (SearchStage stage : stages) {
    entries[0].seconds += run.seconds(std::string(to_string(stage)));
  }
  return entries;
}

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

Json entries_json(const std::vector<Entry>& entries) {
  Json list = Json::array();
  for (const Entry& entry : entries) {
    const NetworkCost cost = network_cost(lower(entry.architecture));
    const Build build = build_of(entry.architecture);
    list.push_back({{"way", to_string(entry.way)},
                    {"seed", entry.seed},
                    {"network", entry.architecture.name},
                    {"parameters", cost.parameters},
                    {"macs", cost.macs.value},
                    {"of_target", entry.of_target},
                    {"uibs", build.uibs},
                    {"mean_width", build.width},
                    {"mean_expansion", build.expansion},
                    {"shared_search_validation_top1", entry.shared},
                    {"scratch_search_validation_top1", entry.trained["search_validation"]["top1"]},
                    {"scratch_test_top1", entry.trained["test"]["top1"]},
                    {"search_seconds", entry.seconds}});
  }
  return list;
}

Json summary_json(const std::vector<Entry>& entries) {
  const Json list = entries_json(entries);
  std::set<uint64_t> seeds;
  for (const Entry& entry : entries) seeds.insert(entry.seed);
  const auto column = [&](Way way, const char* figure, std::optional<uint64_t> seed = {}) {
    std::vector<double> values;
    for (const Json& entry : list) {
      if (entry["way"] != to_string(way) || (seed && entry["seed"] != *seed)) continue;
      const Json one = entry[figure].is_array() ? largest(entry[figure]) : entry[figure];
      if (one.is_number()) values.push_back(one);
    }
    return values;
  };
  // Networks of a seed share its data split and training seed: differences are taken within a
  // seed.
  const auto less = [&](Way way, Way other, const char* figure) {
    std::vector<double> differences;
    for (uint64_t seed : seeds) {
      const std::vector<double> own = column(way, figure, seed);
      const std::vector<double> theirs = column(other, figure, seed);
      if (!own.empty() && !theirs.empty()) differences.push_back(mean(own) - mean(theirs));
    }
    return paired_json(differences);
  };
  Json summary = Json::array();
  for (Way way : kWays) {
    const std::vector<double> test = column(way, "scratch_test_top1");
    if (test.empty()) continue;
    Json row = {{"way", to_string(way)}, {"networks", test.size()}};
    // Likewise the networks of a seed are one draw of what seeds differ by.
    const auto values_of = [&](const char* figure) {
      if (way != Way::kRandomNetworks || seeds.size() == 1) return column(way, figure);
      std::vector<double> means;
      for (uint64_t seed : seeds) {
        const std::vector<double> own = column(way, figure, seed);
        if (!own.empty()) means.push_back(mean(own));
      }
      return means;
    };
    for (const char* figure :
         {"of_target", "parameters", "macs", "uibs", "mean_width", "mean_expansion",
          "shared_search_validation_top1", "scratch_search_validation_top1", "scratch_test_top1",
          "search_seconds"}) {
      const std::vector<double> values = values_of(figure);
      row[figure] = values.empty() ? Json() : estimate_json(estimate(values));
    }
    if (way != Way::kRandomNetworks) {
      const Json over = less(way, Way::kRandomNetworks, "scratch_test_top1");
      if (over.is_object()) row["over_random"] = over;
    }
    if (way == Way::kTwoStage) {
      const Json over = less(way, Way::kOneStage, "scratch_test_top1");
      if (over.is_object()) {
        row["over_one_stage"] = over;
        row["over_one_stage"]["of_target"] = less(way, Way::kOneStage, "of_target");
      }
    }
    summary.push_back(row);
  }
  return summary;
}

std::string comparison_text(const Json& summary, const Json& entries) {
  std::string text =
      fmt::format("{:<16} {:>4} {:<22} {:>9} {:>11} {:>10} {:>5} {:>6} {:>6} {:>8} {:>8} {:>8}\n",
                  "way", "seed", "network", "of target", "parameters", "MACs", "UIBs", "width",
                  "expand", "shared", "val.", "test");
  for (const Json& e : entries) {
    const auto percent = [&](const char* figure) {
      return e[figure].is_number() ? fmt::format("{:.2f} %", 100 * e[figure].get<double>()) : "-";
    };
    const Json ratio = largest(e["of_target"]);
    text += fmt::format(
        "{:<16} {:>4} {:<22} {:>9} {:>11} {:>10.0f} {:>5} {:>6.1f} {:>6.2f} {:>8} {:>8} {:>8}\n",
        e["way"].get<std::string>(), e["seed"].get<uint64_t>(), e["network"].get<std::string>(),
        ratio.is_null() ? "-" : fmt::format("{:.3f}", ratio.get<double>()),
        e["parameters"].get<int64_t>(), e["macs"].get<double>(), e["uibs"].get<int>(),
        e["mean_width"].get<double>(), e["mean_expansion"].get<double>(),
        percent("shared_search_validation_top1"), percent("scratch_search_validation_top1"),
        percent("scratch_test_top1"));
  }
  text += fmt::format("\n{:<16} {:>4} {:>16} {:>16} {:>16} {:>18} {:>18} {:>22}\n", "way", "n",
                      "of target", "width", "expansion", "shared %", "test %", "over random");
  for (const Json& row : summary) {
    std::string over = "-";
    if (row.contains("over_random")) {
      const Json& o = row["over_random"];
      over = fmt::format("{:+.2f} ({:.1f} s.e.)", 100 * o["points"].get<double>(),
                         o["standard_errors"].get<double>());
    }
    text += fmt::format(
        "{:<16} {:>4} {:>17} {:>17} {:>17} {:>19} {:>19} {:>22}\n", row["way"].get<std::string>(),
        row["networks"].get<size_t>(), estimate_text(row["of_target"], 1, 3),
        estimate_text(row["mean_width"], 1, 1), estimate_text(row["mean_expansion"], 1, 2),
        estimate_text(row["shared_search_validation_top1"], 100, 2),
        estimate_text(row["scratch_test_top1"], 100, 2), over);
  }
  for (const Json& row : summary) {
    if (!row.contains("over_one_stage")) continue;
    const Json& points = row["over_one_stage"];
    text += fmt::format("\ntwo-stage less one-stage: {:+.2f} points [{:+.2f}, {:+.2f}]",
                        100 * points["points"].get<double>(), 100 * points["low"].get<double>(),
                        100 * points["high"].get<double>());
    if (const Json& latency = points["of_target"]; latency.is_object()) {
      text += fmt::format(" at {:+.1f} % of the target's latency",
                          100 * latency["points"].get<double>());
    }
    text += "\n";
  }
  return text +
         "\n±: 95 % interval of the mean (Student's t; the random networks of a seed count as "
         "one). shared: search-validation; test: from "
         "scratch.\n";
}

}  // namespace ridgewalk
