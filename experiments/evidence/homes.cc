#include "experiments/evidence/homes.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/evidence/estimate.h"
#include "search/reward.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

// Latency over the reference's, one a ridge point.
std::vector<double> relative(const Architecture& architecture, const Architecture& reference,
                             const std::vector<MacsPerByte>& ridge_points) {
  const Graph own = lower(architecture), other = lower(reference);
  std::vector<double> ratios;
  for (MacsPerByte point : ridge_points) {
    ratios.push_back(latency(own, point).value / latency(other, point).value);
  }
  return ratios;
}

std::string column_name(double ridge_point) { return fmt::format("ridge_{:g}", ridge_point); }

}  // namespace

Json travellers_json(const std::vector<Traveller>& travellers, const Architecture& reference,
                     const std::vector<MacsPerByte>& ridge_points) {
  const std::vector<MacsPerByte> range = spread_ridge_points(0, 500, 32);
  Json rows = Json::array();
  for (const Traveller& traveller : travellers) {
    Json row = {{"home", traveller.home},
                {"way", traveller.way},
                {"seed", traveller.seed},
                {"scratch_test_top1", traveller.test_top1}};
    const std::vector<double> ratios = relative(traveller.architecture, reference, ridge_points);
    for (size_t i = 0; i < ratios.size(); ++i) {
      row[column_name(ridge_points[i].value)] = ratios[i];
    }
    const std::vector<double> all = relative(traveller.architecture, reference, range);
    row["worst"] = *std::max_element(all.begin(), all.end());
    rows.push_back(row);
  }
  return rows;
}

Json abroad_json(const std::vector<Traveller>& travellers, const Architecture& reference,
                 const std::vector<MacsPerByte>& ridge_points) {
  const Json rows = travellers_json(travellers, reference, ridge_points);
  std::vector<std::pair<Json, Json>> homes;  // and ways
  for (const Json& row : rows) {
    const std::pair<Json, Json> own{row["home"], row["way"]};
    if (std::find(homes.begin(), homes.end(), own) == homes.end()) homes.push_back(own);
  }
  Json result = Json::array();
  for (const auto& [home, way] : homes) {
    const auto column = [&, own = std::pair(home, way)](const std::string& name) {
      std::vector<double> values;
      for (const Json& row : rows) {
        if (row["home"] == own.first && row["way"] == own.second) values.push_back(row[name]);
      }
      return values;
    };
    const auto figure = [&](const std::string& name) {
      return estimate_json(estimate(column(name)));
    };
    Json latencies = Json::array();
    for (MacsPerByte point : ridge_points) {
      Json one = {{"ridge_point", point.value}};
      one.update(figure(column_name(point.value)));
      latencies.push_back(one);
    }
    result.push_back({{"home", home},
                      {"way", way},
                      {"networks", column("worst").size()},
                      {"test_top1", figure("scratch_test_top1")},
                      {"relative_latency", latencies},
                      {"worst", figure("worst")}});
  }
  return result;
}

std::string abroad_text(const Json& abroad) {
  if (abroad.empty()) return "";
  std::string text = fmt::format("{:<16} {:<14} {:>3} {:>16}", "found for", "by", "n", "test %");
  for (const Json& one : abroad[0]["relative_latency"]) {
    text += fmt::format(" {:>14}", fmt::format("ridge {:g}", one["ridge_point"].get<double>()));
  }
  text += fmt::format(" {:>14}\n", "worst");
  for (const Json& row : abroad) {
    text += fmt::format("{:<16} {:<14} {:>3} {:>17}", row["home"].get<std::string>(),
                        row["way"].get<std::string>(), row["networks"].get<int>(),
                        estimate_text(row["test_top1"], 100, 2));
    for (const Json& one : row["relative_latency"]) {
      text += fmt::format(" {:>15}", estimate_text(one, 1, 3));
    }
    text += fmt::format(" {:>15}\n", estimate_text(row["worst"], 1, 3));
  }
  return text +
         "\nLatency over the reference's at the same ridge point; worst: of 0 to 500. ±: 95 % "
         "interval of the "
         "mean (Student's t).\n";
}

}  // namespace ridgewalk
