// A table of networks that others have trained. The input's first line is how the columns of
// accuracies begin; then the code of its names, up to a zero byte, and the table.
#include "experiments/evidence/truth.h"
#include "space/catalog.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile code_file, table;
  static const SearchSpace space =
      load_search_space("experiments/configs/spaces/nas-bench-macro.yaml");
  std::string text = text_of(data, size);
  const std::string accuracy = take_until('\n', text);
  const std::string code = take_until('\0', text);
  code_file.write(code);
  table.write(text);
  refuse_or_accept([&] {
    const Truth truth =
        read_truth(table.path(), load_network_code(code_file.path(), space), accuracy, space);
    require(truth.networks.size() >= 3, "a truth has three networks");
    for (const NetworkRecord& network : truth.networks) {
      for (const TrainingResult& training : network.trainings) {
        require(training.test.top1 >= 0 && training.test.top1 <= 1, "an accuracy is a share");
      }
    }
  });
  return 0;
}
