#include "space/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "space/error.h"

namespace ridgewalk {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPartial = ".partial";

// Whether the open file is still the one of that name.
bool is_named(int descriptor, const std::string& path) {
  struct stat opened{}, named{};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

// Waits for the lock on an open file; false where the file system has none.
bool lock(int descriptor) {
  int result = 0;
  do result = ::flock(descriptor, LOCK_EX);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

// Removes the partial files of `target` that nobody holds a lock on: those of killed processes.
void remove_abandoned(const fs::path& target) {
  std::error_code failed;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  const std::string start = target.filename().string() + ".";
  std::vector<fs::path> partial;
  fs::directory_iterator entry(folder, failed);
  while (!failed && entry != fs::directory_iterator()) {
    const std::string name = entry->path().filename();
    if (name.starts_with(start) && name.ends_with(kPartial) &&
        name.find_first_not_of("0123456789-", start.size()) ==
            name.size() - std::strlen(kPartial)) {
      partial.push_back(entry->path());
    }
    entry.increment(failed);
  }
  for (const fs::path& path : partial) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    ::close(descriptor);
  }
}

fs::file_status status_of(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) {
    throw Error(path, 0, "cannot be looked at (" + error.message() + "); give another path");
  }
  return status;
}

[[noreturn]] void fail_to_write(const std::string& path, int error) {
  throw_if_disk_failed(path, error);
  throw Error(path, 0,
              std::string("cannot be written (") + std::strerror(error) +
                  "); choose a folder that you may write to");
}

}  // namespace

bool path_exists(const std::string& path) { return fs::exists(status_of(path)); }

bool is_folder(const std::string& path) { return fs::is_directory(status_of(path)); }

void throw_if_disk_failed(const std::string& path, int error) {
  const bool is_full = error == ENOSPC || error == EDQUOT;
  if (!is_full && error != EIO) return;
  throw std::runtime_error(path + ": cannot be written (" + std::strerror(error) + "); " +
                           (is_full ? "free some space" : "check the disk") +
                           ", then continue the run or start it again");
}

void sync_to_disk(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_to_write(path, errno);
  // EINVAL: of a file system that cannot sync folders.
  const int error = ::fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno;
  ::close(descriptor);
  if (error != 0) fail_to_write(path, error);
}

std::string read_file(const std::string& path) {
  std::error_code unreadable;
  const fs::file_status status = fs::status(path, unreadable);
  if (fs::is_character_file(status) || fs::is_block_file(status)) {
    throw Error(path, 0, "is a device, which may have no end; give the name of a file");
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text, part(1 << 16, '\0');
  while (stream.read(part.data(), std::streamsize(part.size())), stream.gcount() > 0) {
    text.append(part, 0, size_t(stream.gcount()));
  }
  if (fs::is_directory(status) || !stream.is_open() || stream.bad()) {
    throw Error(path, 0, "cannot be read; give the name of an existing file");
  }
  return text;
}

FileWriter::FileWriter(const std::string& path) : path_(path), target_(path) {
  std::error_code error;
  if (fs::is_symlink(path, error)) {
    const fs::path link = fs::canonical(path, error);
    if (error) throw Error(path, 0, "is a broken symbolic link; give the name of a file");
    target_ = link.string();
  }
  const bool is_file = !fs::exists(target_, error) || fs::is_regular_file(target_, error);
  if (!is_file || fs::path(target_).filename().empty()) {
    throw Error(path, 0, "is not a file that can be written; give the name of a file");
  }
  remove_abandoned(target_);
  static std::atomic<int> count{0};
  do {  // again where another process took the file for abandoned before it was locked
    if (descriptor_ >= 0) ::close(descriptor_);
    beside_ = target_ + "." + std::to_string(::getpid()) + "-" + std::to_string(count++) + kPartial;
    descriptor_ =
        ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) fail();
  } while (descriptor_ < 0 || (lock(descriptor_) && !is_named(descriptor_, beside_)));
}

FileWriter::~FileWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(beside_.c_str());
}

void FileWriter::fail() const { fail_to_write(path_, errno); }

void FileWriter::write(const void* data, size_t size) {
  constexpr size_t kMostBuffered = 1 << 20;
  const std::string_view bytes(static_cast<const char*>(data), size);
  if (buffer_.size() + size > kMostBuffered) {
    write_out(buffer_);
    buffer_.clear();
  }
  if (size > kMostBuffered) {
    write_out(bytes);
  } else {
    buffer_.append(bytes);
  }
}

void FileWriter::write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    bytes.remove_prefix(size_t(written));
  }
}

void FileWriter::commit() {
  write_out(buffer_);
  if (::fsync(descriptor_) != 0 || ::rename(beside_.c_str(), target_.c_str()) != 0) fail();
  ::close(descriptor_);
  descriptor_ = -1;
  const fs::path folder = fs::path(target_).parent_path();
  sync_to_disk(folder.empty() ? "." : folder.string());
}

FileLock::FileLock(const std::string& path) : path_(path + ".lock") {
  do {  // again where its last holder removed the file in between
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail_to_write(path, errno);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      throw Error(path, 0,
                  "is being written by another ridgewalk; wait for it, or choose another name");
    }
  } while (!is_named(descriptor_, path_));
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

void write_file(const std::string& path, std::string_view text) {
  FileWriter file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace ridgewalk
