// Reads and writes whole files. Not installed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ridgewalk {

// Whether a file, a folder or anything else has this path, a link being what it points to. Throws
// Error where that cannot be told: a name that is too long, a folder that may not be entered.
bool path_exists(const std::string& path);
bool is_folder(const std::string& path);

// Whole contents. Throws Error when the file cannot be read.
std::string read_file(const std::string& path);

// Writes path.PID-N.partial and renames it to `path` on commit(): a reader sees the old file or the
// new one, of two writers the later one wins, and nothing remains of a file that was not committed;
// what killed processes left of the same file is removed. Follows a symbolic link. Throws Error when
// `path` is a folder or a device or cannot be written.
class FileWriter {
 public:
  explicit FileWriter(const std::string& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, size_t size);
  void commit();

 private:
  [[noreturn]] void fail() const;

  std::string path_, target_, beside_;
  int descriptor_ = -1;
};

// Keeps other processes from the same work for as long as it lives, by a lock on path.lock. Throws
// Error when another one has it.
class FileLock {
 public:
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::string path_;
  int descriptor_ = -1;
};

void write_file(const std::string& path, std::string_view text);

}  // namespace ridgewalk
