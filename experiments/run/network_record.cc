#include "experiments/run/network_record.h"

#include "roofline/statistics.h"

namespace ridgewalk {

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

RowsOfNetworks same_networks(const std::vector<NetworkRecord>& networks) {
  std::vector<std::string> texts;
  for (const NetworkRecord& network : networks) {
    Architecture unnamed = network.architecture;
    unnamed.name.clear();
    texts.push_back(to_yaml(unnamed));
  }
  return rows_of_networks(texts);
}

std::optional<RatedAccuracy> rating(const NetworkRecord& network) {
  if (network.rated || network.trainings.empty()) return network.rated;
  const TrainingResult& training = network.trainings.front();
  return RatedAccuracy{.top1 = *test_top1(network),
                       .images = training.data + " test",
                       .source = "trained " + training.weights + ", this run"};
}

}  // namespace ridgewalk
