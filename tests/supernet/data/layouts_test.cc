// Data sets in the layouts that archives and tools leave them in.
#include <zlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "supernet/data/cifar.h"
#include "supernet/data/class_names.h"
#include "supernet/data/dataset.h"
#include "supernet/data/idx.h"
#include "supernet/data/idx_folder.h"
#include "tests/folder_test.h"
#include "tests/helpers.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Layouts : public FolderTest {
 protected:
  static std::string idx_images(int count, char pixel) {
    return std::string("\0\0\x08\x03\0\0\0", 7) + char(count) +
           std::string("\0\0\0\x02\0\0\0\x02", 8) + std::string(size_t(count) * 4, pixel);
  }
  static std::string idx_labels(int count) {
    std::string bytes = std::string("\0\0\x08\x01\0\0\0", 7) + char(count);
    for (int n = 0; n < count; ++n) bytes += char(n % 2);
    return bytes;
  }
  // The four files, their names made by `name(stem)`; images of the value 7 and 9.
  template <class Name>
  void write_mnist(Name name, const std::string& test = "t10k") {
    write(name("train-images-idx3-ubyte"), idx_images(4, 7));
    write(name("train-labels-idx1-ubyte"), idx_labels(4));
    write(name(test + "-images-idx3-ubyte"), idx_images(2, 9));
    write(name(test + "-labels-idx1-ubyte"), idx_labels(2));
  }
  void expect_mnist(const std::string& folder) {
    const Dataset data = load_dataset("idx:" + folder, 0, 0);
    EXPECT_EQ(data.train.size(), 4);
    EXPECT_EQ(data.test.size(), 2);
    EXPECT_TRUE(data.train.images.eq(7).all().item<bool>());
    EXPECT_TRUE(data.test.images.eq(9).all().item<bool>());
  }
  void write_gzipped(const std::string& name, const std::string& bytes) {
    const gzFile file = gzopen(path(name).c_str(), "wb");
    gzwrite(file, bytes.data(), unsigned(bytes.size()));
    gzclose(file);
  }
  void write_image(const std::string& name) {
    write(name, png_of(image_of(4, 4, 3, [](int, int, int) { return 50; })));
  }
};

TEST_F(Layouts, OfMnistFilesWithADot) {
  write_mnist([](const std::string& stem) { return replaced(stem, "-idx", ".idx"); });
  expect_mnist(path());
}

// Kaggle's archive has both: the folders hold the same files once more.
TEST_F(Layouts, OfMnistFoldersNamedLikeTheirFiles) {
  write_mnist([](const std::string& stem) { return stem + "/" + stem; });
  expect_mnist(path());
  write_mnist([](const std::string& stem) { return replaced(stem, "-idx", ".idx"); });
  expect_mnist(path());
}

TEST_F(Layouts, OfMnistInTorchvisionsFolders) {
  write_mnist([](const std::string& stem) { return "MNIST/raw/" + stem; });
  expect_mnist(path());
  expect_mnist(path("MNIST"));
  expect_mnist(path("MNIST/raw"));
  // With Fashion-MNIST beside it, either could be meant.
  write_mnist([](const std::string& stem) { return "FashionMNIST/raw/" + stem; });
  EXPECT_THAT(error_of([&] { expect_mnist(path()); }),
              testing::AllOf(HasSubstr("FashionMNIST/raw/train-images-idx3-ubyte"),
                             HasSubstr("could be meant as well as"), HasSubstr("/MNIST/raw/")));
  expect_mnist(path("MNIST"));
}

TEST_F(Layouts, OfMnistInCapitalsGzippedOrPrefixed) {
  write_mnist([](std::string stem) {
    for (char& c : stem) c = char(std::toupper(c));
    return "capitals/" + stem;
  });
  expect_mnist(path("capitals"));
  write_mnist([](const std::string& stem) { return "emnist/emnist-letters-" + stem; }, "test");
  expect_mnist(path("emnist"));
  // Of a gzipped and a plain file the gzipped one counts.
  write_mnist([](const std::string& stem) { return "both/" + stem; });
  write_gzipped("both/train-images-idx3-ubyte.gz", idx_images(4, 7));
  write("both/train-images-idx3-ubyte", "half a file");
  expect_mnist(path("both"));
}

TEST_F(Layouts, AFolderIsNotADamagedFile) {
  fs::create_directories(folder_ / "train-images-idx3-ubyte");
  EXPECT_THAT(error_of([&] { read_idx(path("train-images-idx3-ubyte"), 3); }),
              HasSubstr("is a folder"));
  EXPECT_THAT(
      error_of([&] { load_dataset("idx:" + path(), 0, 0); }),
      testing::AllOf(HasSubstr("train-images-idx3-ubyte: is not there"), HasSubstr("idx:DIR")));
}

TEST_F(Layouts, TheBinaryVersionOfCifarIsNeeded) {
  write("cifar-10-batches-py/data_batch_1", "\x80\x02}q");
  EXPECT_THAT(error_of([&] { read_cifar10(path()); }),
              testing::AllOf(HasSubstr("cifar-10-batches-py: is the Python version of CIFAR-10"),
                             HasSubstr("cifar-10-binary.tar.gz")));
  EXPECT_THAT(error_of([&] { read_cifar10(path("cifar-10-batches-py")); }),
              HasSubstr("data_batch_1: is the Python version"));
  write("packed/cifar-100-binary.tar.gz", "");
  EXPECT_THAT(error_of([&] { read_cifar100(path("packed")); }), HasSubstr("is still packed"));
}

TEST_F(Layouts, CifarsNamesOfClasses) {
  const std::string record = std::string("\0\0", 2) + std::string(3072, '\1');
  write("train.bin", record);
  write("test.bin", record);
  EXPECT_TRUE(read_cifar100(path()).class_names.empty());
  std::string names;
  for (int n = 0; n < 100; ++n) names += "name" + std::to_string(n) + "\r\n";
  write("fine_label_names.txt", names + "\n");
  EXPECT_EQ(read_cifar100(path()).class_names.at(99), "name99");
  EXPECT_EQ(load_dataset("cifar100:" + path(), 0, 0).class_text(7), "'name7'");
}

// Zalando's list (github.com/zalandoresearch/fashion-mnist) and that of CIFAR-10's page, whose
// archive has it as batches.meta.txt, too.
TEST_F(Layouts, NamesOfClassesThatAreKnown) {
  EXPECT_EQ(known_class_names("fashion-mnist").at(9), "Ankle boot");
  EXPECT_EQ(known_class_names("fashion-mnist").at(6), "Shirt");
  EXPECT_TRUE(known_class_names("idx:" + path()).empty());
  const std::string record = std::string(1, '\3') + std::string(3072, '\1');
  for (int n = 1; n <= 5; ++n) write("data_batch_" + std::to_string(n) + ".bin", record);
  write("test_batch.bin", record);
  EXPECT_EQ(load_dataset("cifar10:" + path(), 0, 0).class_text(3), "'cat'");
  std::string names;
  for (int n = 0; n < 10; ++n) names += "name" + std::to_string(n) + "\n";
  write("batches.meta.txt", names);
  EXPECT_EQ(load_dataset("cifar10:" + path(), 0, 0).class_text(3), "'name3'");
}

// Competitions give test images without classes.
TEST_F(Layouts, ValIsTheTestSetBesideAFlatTestFolder) {
  for (const char* name : {"train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"}) {
    write_image(name);
  }
  write_image("test/1.png");
  const auto tested = [&] { return load_dataset("imagefolder:" + path(), 0, 0).test.paths; };
  EXPECT_EQ(tested(), (std::vector<std::string>{path("val/a/1.png"), path("val/b/1.png")}));
  write_image("test/images/1.png");  // folders, but none of a class
  EXPECT_EQ(tested().size(), 2u);
  write_image("test/a/1.png");
  EXPECT_THAT(error_of(tested), HasSubstr("/test: does not have the classes of"));
  write_image("test/b/1.png");
  fs::remove_all(folder_ / "test/images");
  EXPECT_EQ(tested()[0], path("test/a/1.png"));
}

TEST_F(Layouts, NamesOfTheTrainingAndTestFolders) {
  for (const char* train : {"train", "Training"}) {
    for (const char* test : {"Test", "validation", "valid", "VAL", "testing"}) {
      for (const char* name : {"a", "b"}) {
        write_image(std::string(train) + "/" + name + "/1.png");
        write_image(std::string(test) + "/" + name + "/1.png");
      }
      EXPECT_EQ(load_dataset("imagefolder:" + path(), 0, 0).test.size(), 2) << test;
      fs::remove_all(folder_ / train);
      EXPECT_THAT(error_of([&] { load_dataset("imagefolder:" + path(), 0, 0); }),
                  HasSubstr("/train: cannot be read"));
      fs::remove_all(folder_ / test);
    }
  }
}

}  // namespace
}  // namespace ridgewalk
