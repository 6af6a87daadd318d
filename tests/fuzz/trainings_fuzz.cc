// The trainings of a ranking, JSON that a later ranking takes.
#include "experiments/evidence/trainings.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  refuse_or_accept([&] {
    const std::string written = trainings_text(read_trainings(file.path()));
    const MemoryFile again(written);
    require(trainings_text(read_trainings(again.path())) == written,
            "trainings are read as they were written");
  });
  return 0;
}
