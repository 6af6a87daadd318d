// Files are written whole or not at all, by any number of processes at once.
#include "space/file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/folder_test.h"
#include "tests/helpers.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

class FileTest : public FolderTest {
 protected:
  size_t entries() const {
    return size_t(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  // What the action's exit code is in a process of its own.
  static int exit_code(const std::function<void()>& action) {
    const pid_t child = fork();
    if (child == 0) {
      try {
        action();
        _exit(0);
      } catch (const Error&) {
        _exit(2);
      }
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
};

TEST_F(FileTest, ADeviceWithoutAnEndIsNotRead) {
  EXPECT_THAT(error_of([] { read_file("/dev/zero"); }), testing::HasSubstr("is a device"));
}

TEST_F(FileTest, TwoWritersDoNotMeet) {
  FileWriter one(path("f")), other(path("f"));
  one.write("one", 3);
  other.write("other", 5);
  one.commit();
  EXPECT_EQ(read(path("f")), "one");
  other.commit();
  EXPECT_EQ(read(path("f")), "other");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, ManyProcessesLeaveOneWholeFile) {
  std::vector<pid_t> children;
  for (char letter = 'a'; letter < 'i'; ++letter) {
    const pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 50; ++i) write_file(path("f"), std::string(100000, letter));
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const std::string text = read(path("f"));
  ASSERT_EQ(text.size(), 100000u);
  EXPECT_EQ(text, std::string(100000, text[0]));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, WhatAKilledProcessLeftIsRemovedByTheNextWriter) {
  EXPECT_EQ(exit_code([&] {
              FileWriter file(path("f"));
              file.write("half", 4);
              kill(getpid(), SIGKILL);
            }),
            -SIGKILL);
  EXPECT_EQ(entries(), 1u);
  write("f.notes.partial", "somebody else's");
  write("f2.1-1.partial", "of another file");
  write_file(path("f"), "whole");
  EXPECT_EQ(read(path("f")), "whole");
  EXPECT_EQ(entries(), 3u);
}

TEST_F(FileTest, PartsOfAnySizeAreWrittenInTheirOrder) {
  std::string whole;
  FileWriter file(path("f"));
  for (const size_t size :
       {3u, 1u << 20, 5u, 3u << 20, (1u << 20) + 1, 0u, 1u << 19, 1u << 19, 7u}) {
    const std::string part(size, char('a' + whole.size() % 23));
    file.write(part.data(), part.size());
    whole += part;
  }
  EXPECT_FALSE(fs::exists(path("f")));
  file.commit();
  EXPECT_TRUE(read(path("f")) == whole);
}

// Exit codes tell them apart: 2 for what the user can mend by another command, 1 for a failed run.
TEST_F(FileTest, AFullOrBrokenDiskIsNotTheUsersMistake) {
  for (const int error : {ENOSPC, EDQUOT, EIO}) {
    try {
      throw_if_disk_failed("/runs/log", error);
      FAIL() << std::strerror(error);
    } catch (const Error&) {
      FAIL() << std::strerror(error);
    } catch (const std::runtime_error& failed) {
      EXPECT_THAT(failed.what(), testing::StartsWith("/runs/log: cannot be written (" +
                                                     std::string(std::strerror(error))));
    }
  }
  EXPECT_NO_THROW(throw_if_disk_failed("/runs/log", EACCES));
  EXPECT_THAT(error_of([&] { write_file(path("none/f"), ""); }),
              testing::HasSubstr("No such file or directory"));
}

TEST_F(FileTest, ALockKeepsOtherProcessesOut) {
  const auto lock = [&] { const FileLock again(path("f")); };
  {
    const FileLock held(path("f"));
    EXPECT_EQ(exit_code(lock), 2);
    EXPECT_THAT(error_of(lock), testing::HasSubstr("/f: is being written by another ridgewalk"));
  }
  EXPECT_EQ(exit_code(lock), 0);
  EXPECT_EQ(entries(), 0u);
  // A killed holder leaves its file, not its lock.
  exit_code([&] {
    const FileLock held(path("f"));
    kill(getpid(), SIGKILL);
  });
  lock();
  EXPECT_EQ(entries(), 0u);
}

}  // namespace
}  // namespace ridgewalk
