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

// Throws std::runtime_error if `error`, an errno, says that the disk is full or broken: no other
// path or option of the command would mend that.
void throw_if_disk_failed(const std::string& path, int error);

// Returns when what was written to a file, or renamed in a folder, would outlast a loss of power.
// Throws like FileWriter.
void sync_to_disk(const std::string& path);

// Writes path.PID-N.partial and renames it to `path` on commit(): a reader sees the old file or the
// new one, even after a loss of power; of two writers the later one wins, and nothing remains of a
// file that was not committed; what killed processes left of the same file is removed. Follows a
// symbolic link. Throws Error when `path` is a folder or a device or may not be written, and
// std::runtime_error when the disk is full or broken.
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
  void write_out(std::string_view bytes);

  std::string path_, target_, beside_;
  std::string buffer_;  // not written out yet
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
