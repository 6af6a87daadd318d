// What weights say of their own training: JSON in their metadata. What is accepted survives being
// written.
#include "supernet/formats/provenance.h"

#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  refuse_or_accept([&] {
    const auto provenance = provenance_in({{kProvenanceKey, text_of(data, size)}}, "file").value();
    require(provenance_in({{kProvenanceKey, to_json(provenance)}}, "written") == provenance,
            "a provenance is read as it was written");
  });
  return 0;
}
