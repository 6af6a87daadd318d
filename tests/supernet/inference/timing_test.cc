#include "supernet/inference/timing.h"

#include <gtest/gtest.h>

#include "space/catalog.h"
#include "space/lowering.h"
#include "tests/formula_weights.h"

namespace ridgewalk {
namespace {

TEST(Timing, MeasuresTheWholeAndItsSteps) {
  const Graph graph = lower(find_architecture("compact-nano"));
  ParameterStore store(graph);
  fill(store);
  const Network folded = fold_norms(graph, store);
  const Timing timing =
      measure(folded, 1, DataType::kFp32, {.repeats = 3, .seconds = 0.01, .per_step = true});
  EXPECT_GT(timing.median_seconds, 0);
  EXPECT_GE(timing.spread, 0);
  EXPECT_GT(timing.fastest_seconds, 0);
  EXPECT_LE(timing.fastest_seconds, timing.median_seconds);
  EXPECT_GE(timing.runs, 3);
  double sum = 0;
  for (const StepTiming& entry : timing.steps) sum += entry.seconds;
  EXPECT_GT(sum, timing.median_seconds / 4);
  EXPECT_LT(sum, timing.median_seconds * 4);
  EXPECT_TRUE(measure(folded, 1, DataType::kFp32, {.repeats = 1, .seconds = 0}).steps.empty());
}

}  // namespace
}  // namespace ridgewalk
