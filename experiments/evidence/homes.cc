#include "experiments/evidence/homes.h"

#include <algorithm>

#include <fmt/format.h>

#include "roofline/price.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

std::vector<double> relative(const Architecture& architecture, const Architecture& reference,
                             const std::vector<LatencyModel>& models) {
  const Graph own = lower(architecture), other = lower(reference);
  std::vector<double> ratios;
  for (const LatencyModel& model : models) {
    ratios.push_back(price(own, model) / price(other, model));
  }
  return ratios;
}

// A column's name: "ridge 31.2" or the device.
std::string label(const Place& place) {
  return place.device.empty() ? fmt::format("ridge {:g}", place.model.ridge_point.value)
                              : place.device;
}

// The networks of one way and home.
HomeSummary summarize_home(const std::vector<const NetworkRecord*>& networks,
                           const Pricing& pricing) {
  const Origin& origin = networks.front()->origin;
  std::vector<double> test, worst;
  std::vector<std::vector<double>> at(pricing.places.size());
  for (const NetworkRecord* network : networks) {
    test.push_back(test_top1(*network).value());
    const RelativeLatency latency = relative_latency(network->architecture, pricing);
    worst.push_back(latency.worst);
    for (size_t p = 0; p < at.size(); ++p) at[p].push_back(latency.at[p]);
  }
  HomeSummary summary{.home = origin.home,
                      .way = origin.way,
                      .networks = networks.size(),
                      .test_top1 = estimate(test),
                      .worst = estimate(worst)};
  for (const std::vector<double>& values : at) summary.at.push_back(estimate(values));
  return summary;
}

}  // namespace

std::vector<Place> places_of(const std::vector<Target>& targets,
                             const std::vector<MacsPerByte>& ridge_points) {
  std::vector<MacsPerByte> points = ridge_points;
  std::vector<Place> devices;
  for (const Target& target : targets) {
    for (const LatencyModel& model : {target.models.front(), target.models.back()}) {
      if (model.is_plain()) {
        points.push_back(model.place_on_axis(DataType::kInt8));
        continue;
      }
      const bool is_new = std::none_of(devices.begin(), devices.end(),
                                       [&](const Place& one) { return one.model == model; });
      if (is_new) devices.push_back({model, target.name});
    }
  }
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  std::vector<Place> places;
  for (const LatencyModel& model : rooflines(points)) places.push_back({model});
  places.insert(places.end(), devices.begin(), devices.end());
  return places;
}

RelativeLatency relative_latency(const Architecture& architecture, const Pricing& pricing) {
  const std::vector<double> range =
      relative(architecture, pricing.reference, rooflines(spread_ridge_points(0, 500, 32)));
  std::vector<LatencyModel> models;
  for (const Place& place : pricing.places) models.push_back(place.model);
  return {.at = relative(architecture, pricing.reference, models),
          .worst = *std::max_element(range.begin(), range.end())};
}

std::vector<HomeSummary> summarize_homes(const std::vector<NetworkRecord>& networks,
                                         const Pricing& pricing) {
  std::vector<std::vector<const NetworkRecord*>> groups;  // by home and way
  for (const NetworkRecord& network : networks) {
    const auto is_own = [&](const std::vector<const NetworkRecord*>& group) {
      const Origin& origin = group.front()->origin;
      return origin.home == network.origin.home && origin.way == network.origin.way;
    };
    const auto group = std::find_if(groups.begin(), groups.end(), is_own);
    if (group == groups.end()) {
      groups.push_back({&network});
    } else {
      group->push_back(&network);
    }
  }
  std::vector<HomeSummary> homes;
  for (const auto& group : groups) homes.push_back(summarize_home(group, pricing));
  return homes;
}

Json homes_json(const std::vector<HomeSummary>& homes, const Pricing& pricing) {
  Json list = Json::array();
  for (const HomeSummary& home : homes) {
    Json latencies = Json::array();
    for (size_t p = 0; p < home.at.size(); ++p) {
      const Place& place = pricing.places[p];
      Json one = {{"ridge_point", place.model.ridge_point.value}};
      if (!place.device.empty()) one["device"] = place.device;
      one.update(estimate_json(home.at[p]));
      latencies.push_back(one);
    }
    list.push_back({{"home", home.home},
                    {"way", to_string(home.way)},
                    {"networks", home.networks},
                    {"test_top1", estimate_json(home.test_top1)},
                    {"relative_latency", latencies},
                    {"worst", estimate_json(home.worst)}});
  }
  return list;
}

std::string homes_text(const std::vector<HomeSummary>& homes, const Pricing& pricing) {
  if (homes.empty()) return "";
  std::string text = fmt::format("{:<16} {:<14} {:>3} {:>16}", "found for", "by", "n", "test %");
  for (const Place& place : pricing.places) text += fmt::format(" {:>14}", label(place));
  text += fmt::format(" {:>14}\n", "worst");
  for (const HomeSummary& home : homes) {
    text += fmt::format("{:<16} {:<14} {:>3} {:>17}", home.home, to_string(home.way), home.networks,
                        estimate_text(home.test_top1, 100, 2));
    for (const Estimate& ratio : home.at) {
      text += fmt::format(" {:>15}", estimate_text(ratio, 1, 3));
    }
    text += fmt::format(" {:>15}\n", estimate_text(home.worst, 1, 3));
  }
  return text +
         "\nLatency over the reference's at the same ridge point; worst: of 0 to 500. ±: 95 % "
         "interval of the mean (Student's t).\n";
}

Json priced_json(const std::vector<NetworkRecord>& networks, const Pricing& pricing) {
  Json rows = Json::array();
  for (const NetworkRecord& network : networks) {
    Json row = {{"home", network.origin.home},
                {"way", to_string(network.origin.way)},
                {"seed", network.origin.seed},
                {"scratch_test_top1", value_or_null(test_top1(network))}};
    const RelativeLatency latency = relative_latency(network.architecture, pricing);
    for (size_t p = 0; p < latency.at.size(); ++p) {
      std::string name = label(pricing.places[p]);
      std::replace(name.begin(), name.end(), ' ', '_');
      row[name] = latency.at[p];
    }
    row["worst"] = latency.worst;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace ridgewalk
