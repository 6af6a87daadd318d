// Files of distilled labels, with the hash that a file of such a content has: without it a fuzzer
// would see nothing but wrong hashes.
#include "space/hash.h"
#include "space/random.h"
#include "supernet/formats/safetensors.h"
#include "supernet/training/distillation.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

uint64_t hash_of_tensor(const torch::Tensor& tensor) {
  const torch::Tensor whole = tensor.contiguous();
  return hash_of(whole.data_ptr(), whole.nbytes());
}

void correct_hash(TensorFile& file) {
  torch::Tensor probabilities = torch::empty({0}), classes;
  for (const auto& [name, tensor] : file.tensors) {
    if (name == "probabilities") probabilities = tensor;
    if (name == "classes") classes = tensor;
  }
  uint64_t hash = mix(hash_of(file.metadata["distilled"]), hash_of_tensor(probabilities));
  if (classes.defined()) hash = mix(hash, hash_of_tensor(classes));
  file.metadata["hash"] = std::to_string(hash);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFile given;
  static const MemoryFolder folder;
  const std::string path = folder.path("labels.safetensors");
  given.write({reinterpret_cast<const char*>(data), size});
  refuse_or_accept([&] {
    TensorFile file = read_safetensors(given.path());
    correct_hash(file);
    write_safetensors(path, file);
    const DistilledLabels labels = load_distilled(path);
    const Draw draws[] = {labels.draw(0, 0), labels.draw(labels.images - 1, 0)};
    const torch::Tensor targets = labels.targets(draws, labels.replicas - 1);
    require(targets.size(0) == 2 && targets.size(1) == labels.number_of_classes,
            "each image has a distribution over the classes");
  });
  return 0;
}
