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

double predicted_over_allocated(const Graph& graph, DataType type, int batch) {
  ParameterStore store(graph);
  const Inference inference(fold_norms(graph, store), batch, type);
  return peak_memory(graph, {type}, batch).value / double(inference.arena_bytes());
}

void expect_within_2_percent(const Graph& graph, DataType type, int batch = 1) {
  const double ratio = predicted_over_allocated(graph, type, batch);
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

TEST(Arena, IsPredictedForDetectors) {
  for (const char* name : {"mnv4-conv-medium-retinanet", "mnv4-hybrid-medium-retinanet"}) {
    Architecture architecture = find_architecture(name);
    architecture.resolution = 128;
    for (DataType type : types()) expect_within_2_percent(lower(architecture), type);
  }
}

TEST(Arena, IsPredictedForBatches) {
  for (const char* name : {"mnv4-conv-small", "mnv4-hybrid-medium"}) {
    for (int batch : {3, 8}) {
      for (DataType type : types()) {
        expect_within_2_percent(lower(find_architecture(name)), type, batch);
      }
    }
  }
}

// 64 x 64 positions of 8 heads are 2^27 scores of an image, of which tiles of 2^24 are held; at 32
// x 32 the 2^23 scores of an image are held whole, and those of three in tiles.
TEST(Arena, IsPredictedForAttentionInTiles) {
  for (const auto& [resolution, batch] : {std::pair(64, 1), {64, 2}, {32, 1}, {32, 3}}) {
    Architecture architecture{.name = "tiled", .resolution = resolution, .classes = 10};
    architecture.stem = {.stride = 1, .width = 16};
    architecture.stages = {{MobileMqa{.heads = 8, .key_dim = 16, .value_dim = 16}}};
    architecture.head = {.width = 32, .features = 0};
    for (DataType type : types()) expect_within_2_percent(lower(architecture), type, batch);
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
