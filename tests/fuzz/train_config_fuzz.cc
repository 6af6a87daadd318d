// YAML of a training, and of an augmentation alone.
#include "experiments/run/train_config.h"
#include "space/yaml.h"
#include "supernet/data/augmentation_yaml.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = text_of(data, size);
  refuse_or_accept([&] { read_train(parse_yaml(text, "file")); });
  refuse_or_accept([&] { read_weights(parse_yaml(text, "file")); });
  refuse_or_accept([&] {
    const Augmentation augmentation = augmentation_from_yaml(text, "file");
    require(augmentation_from_yaml(to_yaml(augmentation), "written") == augmentation,
            "an augmentation is read as it was written");
  });
  return 0;
}
