#include "experiments/run/network_record.h"

#include "roofline/statistics.h"
#include "space/error.h"

namespace ridgewalk {

std::string_view to_string(NetworkKind kind) {
  if (kind == NetworkKind::kFound) return "found";
  return kind == NetworkKind::kReference ? "reference" : "random";
}

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

std::optional<double> test_top1(const NetworkRecord& network) {
  if (network.trainings.empty()) return std::nullopt;
  std::vector<double> values;
  for (const TrainingResult& training : network.trainings) values.push_back(training.test.top1);
  return mean(values);
}

std::optional<double> search_validation_top1(const NetworkRecord& network) {
  std::vector<double> values;
  for (const TrainingResult& training : network.trainings) {
    if (training.search_validation) values.push_back(training.search_validation->top1);
  }
  if (values.empty()) return std::nullopt;
  return mean(values);
}

std::optional<RatedAccuracy> rating(const NetworkRecord& network) {
  if (network.rated || network.trainings.empty()) return network.rated;
  const TrainingResult& training = network.trainings.front();
  return RatedAccuracy{.top1 = *test_top1(network),
                       .images = training.data + " test",
                       .source = "trained " + training.weights + ", this run"};
}

}  // namespace ridgewalk
