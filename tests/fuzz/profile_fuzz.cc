// YAML of hardware profiles. What is accepted survives being written, and can predict.
#include "roofline/latency_model.h"
#include "roofline/profile.h"
#include "space/catalog.h"
#include "space/fold.h"
#include "space/lowering.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Graph graph = fold_norms(lower(find_architecture("compact-nano"))).graph;
  refuse_or_accept([&] {
    const Profile profile = profile_from_yaml(text_of(data, size), "file");
    require(profile_from_yaml(to_yaml(profile), "written") == profile,
            "a profile is read as it was written");
    if (!profile.op_laws.empty()) predict_ops(graph, profile);
    predict(graph, latency_model(profile));
  });
  return 0;
}
