#include "supernet/data/image_folder.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "tests/folder_test.h"
#include "tests/helpers.h"
#include "tests/image_files.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

using ImageFolders = FolderTest;

TEST_F(ImageFolders, ListsClassesAndFilesByName) {
  const std::string png = png_of(noise_image(3, 3, 3));
  for (const char* name :
       {"train/b/2.PNG", "train/b/1.jpeg", "train/a/x.jpg", "train/a/.hidden.png",
        "train/a/notes.txt", "test/a/1.png", "test/b/1.png", "val/a/1.png"}) {
    write(name, png);  // the extension does not matter
  }
  DamagedFiles damaged(true, true);
  const ImageFolder data = read_image_folder(path(), damaged);
  EXPECT_EQ(data.classes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(data.train.labels, (std::vector<int>{0, 1, 1}));
  EXPECT_EQ(data.train.paths,
            (std::vector<std::string>{path() + "/train/a/x.jpg", path() + "/train/b/1.jpeg",
                                      path() + "/train/b/2.PNG"}));
  EXPECT_EQ(data.test.labels, (std::vector<int>{0, 1}));
  fs::remove_all(folder_ / "test");
  expect_error([&] { read_image_folder(path(), damaged); }, "'b' is in one of them alone");
  write("val/b/1.png", png);
  EXPECT_EQ(read_image_folder(path(), damaged).test.paths[1], path() + "/val/b/1.png");
}

TEST_F(ImageFolders, LeavesOutWhatIsNoImageUnlessStrict) {
  for (const char* name : {"train/a/1.png", "train/a/2.png", "test/a/1.png"}) {
    write(name, png_of(noise_image(3, 3, 3)));
  }
  write("train/a/empty.png", "");
  write("train/a/page.jpg", "<html>");
  DamagedFiles damaged(false, true), strict(true, true);
  EXPECT_EQ(read_image_folder(path(), damaged).train.paths.size(), 2u);
  EXPECT_EQ(damaged.count(), 2);
  damaged.add(path() + "/train/a/page.jpg", "again");
  EXPECT_EQ(damaged.count(), 2);
  expect_error([&] { read_image_folder(path(), strict); }, "empty.png: is neither");
}

TEST_F(ImageFolders, ReadsOtherNamesOfJpegAndCountsOtherPictures) {
  const std::string jpeg = jpeg_of(noise_image(8, 8, 3));
  for (const char* name : {"train/a/1.jfif", "train/a/2.JPE", "test/a/1.jpg"}) write(name, jpeg);
  const std::string webp("RIFF\x24\0\0\0WEBPVP8 ", 16);
  const std::vector<std::string> others{"webp", "bmp",  "gif",  "tif",
                                        "tiff", "avif", "heic", "WEBP"};
  for (const std::string& extension : others) {
    write("train/a/other." + extension, webp);
    write("test/a/other." + extension, webp);
  }
  write("train/a/renamed.webp", jpeg);  // the extension does not matter
  write("train/a/notes.txt", "no picture");
  DamagedFiles damaged(false, true), strict(true, true);
  const ImageFolder data = read_image_folder(path(), damaged);
  EXPECT_EQ(data.train.paths,
            (std::vector<std::string>{path() + "/train/a/1.jfif", path() + "/train/a/2.JPE",
                                      path() + "/train/a/renamed.webp"}));
  EXPECT_EQ(data.test.paths.size(), 1 + others.size());  // evaluations count them
  EXPECT_EQ(damaged.count(), int64_t(2 * others.size()));
  expect_error([&] { read_image_folder(path(), strict); }, "convert it to one of them");
  fs::remove(folder_ / "test/a/1.jpg");
  expect_error([&] { read_image_folder(path(), damaged); }, "/test: holds no JPEG or PNG");
}

// As some tools leave it that move a test set elsewhere.
TEST_F(ImageFolders, PassesOverATestFolderOfEmptyClasses) {
  for (const char* name : {"train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"}) {
    write(name, png_of(noise_image(3, 3, 3)));
  }
  for (const char* name : {"test/a", "test/b"}) fs::create_directories(folder_ / name);
  write("test/a/notes.txt", "no picture");
  DamagedFiles damaged(false, true);
  EXPECT_EQ(read_image_folder(path(), damaged).test.paths,
            (std::vector<std::string>{path() + "/val/a/1.png", path() + "/val/b/1.png"}));
  write("test/b/1.png", png_of(noise_image(3, 3, 3)));
  EXPECT_EQ(read_image_folder(path(), damaged).test.paths,
            (std::vector<std::string>{path() + "/test/b/1.png"}));
}

TEST_F(ImageFolders, SaysWhatIsMissing) {
  DamagedFiles damaged(false, true);
  const auto read = [&] { read_image_folder(path(), damaged); };
  expect_error(read, path() + "/train: cannot be read");
  fs::create_directories(folder_ / "train");
  expect_error(read, "holds no folder");
  write("train/a/1.png", png_of(noise_image(3, 3, 3)));
  expect_error(read, path() + ": has no test, val or validation folder");
  fs::create_directories(folder_ / "test/a");
  expect_error(read, path() + "/test: holds no JPEG or PNG");
  write("test/a/1.png", png_of(noise_image(3, 3, 3)));
  fs::create_directories(folder_ / "train/b");
  fs::create_directories(folder_ / "test/b");
  expect_error(read, path() + "/train/b: holds no JPEG or PNG");
}

}  // namespace
}  // namespace ridgewalk
