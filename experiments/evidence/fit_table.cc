#include "experiments/evidence/fit_table.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "roofline/statistics.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/number.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

constexpr int kLeastResolution = 96;  // to which a network is reduced

Decisions parse_decisions(const std::string& text) {
  std::istringstream stream(text);
  Decisions decisions;
  for (std::string word; stream >> word;) {
    const std::optional<int64_t> decision = parse_whole(word);
    if (!decision || !std::in_range<int>(*decision)) {
      throw Error("decisions are whole numbers with spaces between: '" + text + "'");
    }
    decisions.push_back(int(*decision));
  }
  return decisions;
}

Architecture architecture_of(const Measurement& row, const std::string& file,
                             const std::optional<SearchSpace>& space) {
  Architecture architecture = space ? decode(*space, parse_decisions(row.network))
                                    : find_architecture(network_beside(file, row.network));
  if (row.resolution) architecture.resolution = *row.resolution;
  if (row.channels) architecture.channels = *row.channels;
  if (row.classes) architecture.classes = *row.classes;
  validate(architecture);
  return architecture;
}

// What makes two rows of a table one network: all but names and the number of classes.
std::string identity_of(Architecture architecture) {
  architecture.name = "network";
  architecture.classes = 1;
  return to_yaml(architecture);
}

// A network at another resolution, or nothing where it cannot be built for that.
std::optional<Architecture> resized(Architecture architecture, int resolution) {
  architecture.resolution = resolution;
  try {
    validate(architecture);
  } catch (const Error&) {
    return std::nullopt;
  }
  return architecture;
}

}  // namespace

FitTable read_fit_table(const std::string& file, const TableReading& reading) {
  const Measurements measurements = read_measurements(read_file(file), file, reading.column);
  FitTable table{.rows = {},
                 .batch = 1,
                 .batches = {},
                 .not_measured = measurements.not_measured,
                 .repeats = 0};
  std::set<int> batches;
  std::map<std::tuple<std::string, int, int>, size_t> places;  // by network, classes and batch
  std::vector<std::vector<double>> seconds;
  for (const Measurement& row : measurements.rows) {
    try {
      const Architecture architecture = architecture_of(row, file, reading.space);
      const std::string network = identity_of(architecture);
      WorkCounting counting = reading.counting;
      counting.batch = row.batch.value_or(1);
      batches.insert(counting.batch);
      const auto [place, is_new] = places.emplace(
          std::tuple(network, architecture.classes, counting.batch), table.rows.size());
      if (is_new) {
        table.rows.push_back(
            {network_work(row.network, lower(architecture), counting), {}, network});
        seconds.emplace_back();
      } else {
        ++table.repeats;
      }
      seconds[place->second].push_back(row.latency.value);
    } catch (const Error& error) {
      throw Error(file, row.line, error.what());
    }
  }
  if (batches.size() == 1) table.batch = *batches.begin();
  if (!batches.empty()) table.batches = {*batches.begin(), *batches.rbegin()};
  for (size_t i = 0; i < seconds.size(); ++i) {
    table.rows[i].latency = {quantile(seconds[i], 0.5)};
  }
  return table;
}

size_t count_networks(const std::vector<Measured>& rows) {
  std::set<std::string> networks;
  for (const Measured& row : rows) networks.insert(row.network);
  return networks.size();
}

std::vector<Measured> unseen(const std::vector<Measured>& test, const std::vector<Measured>& fitted,
                             const std::string& file) {
  std::set<std::string> seen;
  for (const Measured& network : fitted) seen.insert(network.network);
  std::vector<Measured> kept;
  std::copy_if(test.begin(), test.end(), std::back_inserter(kept),
               [&](const Measured& network) { return !seen.contains(network.network); });
  if (const size_t count = count_networks(kept); count < 2) {
    throw Error(file, 0,
                fmt::format("has {} of {} networks that were not fitted; a test needs at least 2",
                            count, count_networks(test)));
  }
  return kept;
}

std::vector<NetworkWork> unmeasured_networks(const FitTable& table, const TableReading& reading) {
  WorkCounting counting = reading.counting;
  counting.batch = table.batch;
  std::set<std::string> known;
  for (const Measured& row : table.rows) known.insert(row.network);
  std::vector<NetworkWork> works;
  const auto add = [&](const std::string& name, const Architecture& architecture) {
    if (!known.insert(identity_of(architecture)).second) return;
    works.push_back(network_work(name, lower(architecture), counting));
  };
  if (reading.space) {
    std::mt19937_64 random(0);
    for (int i = 0; i < 200; ++i) {
      const Decisions decisions = sample(*reading.space, random);
      add(fmt::format("{}", fmt::join(decisions, " ")), decode(*reading.space, decisions));
    }
    return works;
  }
  for (const std::string& name : catalog_names()) {
    const Architecture architecture = find_architecture(name);
    add(name, architecture);
    for (int resolution : {architecture.resolution / 2, 2 * architecture.resolution}) {
      if (resolution < kLeastResolution) continue;
      if (const auto other = resized(architecture, resolution)) {
        add(fmt::format("{} at {} pixels", name, resolution), *other);
      }
    }
  }
  return works;
}

}  // namespace ridgewalk
