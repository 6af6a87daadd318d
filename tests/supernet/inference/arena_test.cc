// The memory that is predicted is what inference allocates.
#include <gtest/gtest.h>

#include "roofline/memory.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/fold.h"
#include "space/lowering.h"
#include "supernet/inference/inference.h"

namespace ridgewalk {
namespace {

double predicted_over_allocated(const Graph& graph, DataType type) {
  ParameterStore store(graph);
  const Inference inference(fold_norms(graph, store), 1, type);
  return peak_memory(graph, type).value / double(inference.arena_bytes());
}

void expect_within_2_percent(const Graph& graph, DataType type) {
  const double ratio = predicted_over_allocated(graph, type);
  EXPECT_GT(ratio, 0.98) << graph.name << " " << to_string(type);
  EXPECT_LE(ratio, 1) << graph.name << " " << to_string(type);
}

std::vector<DataType> types() {
  if (precision_named("auto", torch::kCPU) != DataType::kBf16) return {DataType::kFp32};
  return {DataType::kFp32, DataType::kBf16};
}

TEST(Arena, IsPredictedForTheCatalogue) {
  for (const std::string& name : catalog_names()) {
    for (DataType type : types()) expect_within_2_percent(lower(find_architecture(name)), type);
  }
}

TEST(Arena, IsPredictedForRandomMembers) {
  for (const std::string& name : built_in_spaces()) {
    const SearchSpace space = load_search_space(name);
    std::mt19937_64 random(41);
    for (int i = 0; i < (name == "mobile" ? 10 : 40); ++i) {
      const Graph graph = lower(decode(space, sample(space, random)));
      for (DataType type : types()) expect_within_2_percent(graph, type);
    }
  }
}

}  // namespace
}  // namespace ridgewalk
