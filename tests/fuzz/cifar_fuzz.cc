// The binary versions of CIFAR. The input's first byte tells CIFAR-100 from CIFAR-10; then come the
// names of the classes up to a zero byte, and the records, the same in every file.
#include "supernet/data/cifar.h"

#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

// Links to two files in memory, made once: an input rewrites those alone.
struct Archive {
  Archive() {
    for (const char* name :
         {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
          "data_batch_5.bin", "test_batch.bin", "train.bin", "test.bin"}) {
      std::filesystem::create_symlink(records.path(), folder.path(name));
    }
    for (const char* name : {"batches.meta.txt", "fine_label_names.txt"}) {
      std::filesystem::create_symlink(names.path(), folder.path(name));
    }
  }
  MemoryFolder folder;
  MemoryFile records, names;
};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Archive archive;
  std::string bytes = text_of(data, size);
  const bool is_hundred = !bytes.empty() && bytes[0] == '1';
  bytes.erase(0, 1);
  archive.names.write(take_until('\0', bytes));
  archive.records.write(bytes);
  refuse_or_accept([&] {
    const Cifar cifar = (is_hundred ? read_cifar100 : read_cifar10)(archive.folder.path());
    require(cifar.test.pixels.size() == cifar.test.labels.size() * 3072, "an image has 3072 bytes");
    for (const uint8_t label : cifar.train.labels) require(label < cifar.classes, "labels fit");
  });
  return 0;
}
