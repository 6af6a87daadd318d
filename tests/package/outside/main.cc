#include <cstdio>

#include "roofline/latency.h"
#include "search/controller.h"
#include "space/catalog.h"
#include "space/lowering.h"

int main() {
  using namespace ridgewalk;
  const Graph graph = lower(find_architecture("mnv4-conv-small"));
  const Controller controller(load_search_space("mobile"), {});
  std::printf("%.0f MACs, %zu choices\n", latency(graph, {0}).value,
              controller.probabilities().size());
}
