// Detectors against the table of the MobileNetV4 paper.
#include <gtest/gtest.h>

#include "roofline/cost.h"
#include "space/catalog.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

struct PublishedFigures {
  const char* backbone;
  double gmacs;       // arXiv 2404.10518v2, table 7
  double parameters;  // millions
};

class PublishedDetector : public testing::TestWithParam<PublishedFigures> {};

// The MACs are those of the detector alone. The parameters are what Keras counts in TF-models'
// model: with the running statistics of the norms and the layers around the backbone's pool.
TEST_P(PublishedDetector, HasTheFiguresOfThePaper) {
  const auto& [backbone, gmacs, parameters] = GetParam();
  Architecture architecture = find_architecture(std::string(backbone) + "-retinanet");
  EXPECT_EQ(architecture.resolution, 384);
  const Graph detector = lower(architecture);
  EXPECT_NEAR(network_cost(detector).macs.value / 1e9 / gmacs, 1, 0.02);
  architecture.detector.reset();
  EXPECT_NEAR(double(parameters_of_tf_models(lower(architecture), detector)) / 1e6, parameters,
              0.005);  // as it is printed
}

INSTANTIATE_TEST_SUITE_P(Table7, PublishedDetector,
                         testing::Values(PublishedFigures{"mnv4-conv-medium", 5.06, 9.79},
                                         PublishedFigures{"mnv4-hybrid-medium", 5.62, 11.15},
                                         PublishedFigures{"mobilenet-v2-200", 5.81, 10.15}),
                         [](const auto& test) { return std::to_string(test.index); });

// Of the towers by hand: 3060 positions at 384 pixels, each 8 convolutions of 9 * 256 + 256 * 256
// MACs and two that predict 91 * 9 and 4 * 9 values.
TEST(Detector, TheTowersCostWhatTheyDoByHand) {
  const Graph graph = lower(find_architecture("mnv4-conv-medium-retinanet"));
  const std::vector<OpCost> costs = op_costs(graph);
  double macs = 0, weights = 0;
  int64_t parameters = 0;
  for (size_t i = 0; i < costs.size(); ++i) {
    if (!graph.ops[i].name.starts_with("head.")) continue;
    macs += costs[i].macs.value;
    weights += double(costs[i].weight_elements);
    parameters += costs[i].parameters;
  }
  const double positions = 48 * 48 + 24 * 24 + 12 * 12 + 6 * 6 + 3 * 3;
  const double filters = 9 * 256 + 256 * 256, outputs = 91 * 9 + 4 * 9;
  EXPECT_EQ(macs, positions * (8 * filters + 2 * 9 * 256 + 256 * outputs));
  const double convolutions = 8 * (filters + 256) + 2 * 9 * 256 + 257 * outputs;
  EXPECT_EQ(double(parameters), convolutions + 5 * 8 * 2 * 256);  // norms are each level's own
  EXPECT_EQ(weights, 5 * convolutions);                           // read anew for every level
}

}  // namespace
}  // namespace ridgewalk
