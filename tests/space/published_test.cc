#include "space/published.h"

#include "space/catalog.h"
#include "space/embedded.h"
#include "space/yaml.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

// The rows of MobileNetV4's table 6 that the catalogue has, in percent.
TEST(Published, HoldsThePapersTable) {
  const std::map<std::string, std::string> names = {
      {"MobileNet-V1", "mobilenet-v1"},          {"MobileNet-V2-0.5x", "mobilenet-v2-050"},
      {"MobileNet-V2", "mobilenet-v2"},          {"MobileNet-V2-1.5x", "mobilenet-v2-150"},
      {"MobileNet-V2-2.0x", "mobilenet-v2-200"}, {"MobileNet-V3L-0.5x", "mobilenet-v3-large-050"},
      {"MNv4-Conv-S", "mnv4-conv-small"},        {"MNv4-Conv-M", "mnv4-conv-medium"},
      {"MNv4-Conv-L", "mnv4-conv-large"},        {"MNv4-Hybrid-M", "mnv4-hybrid-medium"},
      {"MNv4-Hybrid-L", "mnv4-hybrid-large"},
  };
  size_t found = 0;
  for (const CsvRow& row : read_csv("tests/data/paper_table6.csv")) {
    const auto name = names.find(at(row, "model"));
    if (name == names.end()) continue;
    ++found;
    EXPECT_NEAR(published_accuracy(name->second)->top1, std::stod(at(row, "top1")) / 100, 1e-12)
        << name->second;
  }
  EXPECT_EQ(found, names.size());
}

TEST(Published, EveryFigureIsOfACatalogueNetworkAtItsResolution) {
  FieldReader file(parse_yaml(std::string(embedded_published()[0].text), "published.yaml"));
  size_t figures = 0;
  for (const std::string& name : catalog_names()) {
    const auto accuracy = published_accuracy(name);
    if (!accuracy) continue;
    ++figures;
    EXPECT_EQ(accuracy->resolution, find_architecture(name).resolution) << name;
    EXPECT_TRUE(0.5 < accuracy->top1 && accuracy->top1 < 0.9) << name;
    EXPECT_FALSE(accuracy->source.empty()) << name;
  }
  EXPECT_EQ(figures, file.source().node.size());
}

TEST(Published, IsSilentWhereNothingIsKnown) {
  EXPECT_FALSE(published_accuracy("mobilenet-v1-150"));
  EXPECT_FALSE(published_accuracy("mnv4-hybrid-medium-paper"));
  EXPECT_FALSE(published_accuracy("no such network"));
}

}  // namespace
}  // namespace ridgewalk
