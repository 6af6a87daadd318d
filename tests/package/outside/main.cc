#include <cstdio>

#include "roofline/latency_model.h"
#include "search/controller.h"
#include "space/catalog.h"
#include "space/lowering.h"

int main() {
  using namespace ridgewalk;
  const Graph network = lower(find_architecture("mnv4-conv-small"));
  const Profile phone = load_profile("pixel6-cpu");
  std::printf("%.0f MACs, %.3f ms on %s\n", network_cost(network).macs.value,
              1e3 * predict(network, latency_model(phone)).total().value, phone.name.c_str());

  const SearchSpace space = load_search_space("mobile");
  const Controller controller(space, {});
  std::printf("%.2g networks, %zu choices\n", size(space), controller.probabilities().size());
}
