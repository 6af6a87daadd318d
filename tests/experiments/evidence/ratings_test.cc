// What reports take from the result.yaml of a run.
#include "experiments/report/ratings.h"

#include "space/catalog.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

using Ratings = FolderTest;

TEST_F(Ratings, AreThoseOfTheRun) {
  write("architecture.yaml", to_yaml(find_architecture("compact-nano")));
  write("result.yaml", "{data: d, weights: from scratch, test: {top1: 0.5}}");
  const std::vector<NetworkRecord> trained = networks_of_run(path());
  ASSERT_EQ(trained.size(), 1u);
  EXPECT_EQ(trained[0].rated->top1, 0.5);
  EXPECT_EQ(trained[0].rated->images, "d test");
}

TEST_F(Ratings, OfAnotherShapeAreRefused) {
  write("architecture.yaml", to_yaml(find_architecture("compact-nano")));
  for (const char* text :
       {"stages: [a]", "stages: {[a]: {}}", "stages: 3", "stages: {a: }", "networks: {a: b}",
        "networks: 3", "networks: [a]", "networks: [{architecture: [x]}]", "test: 3", "[]", "a"}) {
    write("result.yaml", text);
    expect_error([&] { networks_of_run(path()); }, path("result.yaml"));
  }
}

}  // namespace
}  // namespace ridgewalk
