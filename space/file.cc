#include "space/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "space/error.h"

namespace ridgewalk {

namespace fs = std::filesystem;

namespace {

fs::file_status status_of(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::none) {
    throw Error(path, 0, "cannot be looked at (" + error.message() + "); give another path");
  }
  return status;
}

}  // namespace

bool path_exists(const std::string& path) { return fs::exists(status_of(path)); }

bool is_folder(const std::string& path) { return fs::is_directory(status_of(path)); }

std::string read_file(const std::string& path) {
  std::error_code unreadable;
  std::ifstream stream(path, std::ios::binary);
  std::string text, part(1 << 16, '\0');
  while (stream.read(part.data(), std::streamsize(part.size())), stream.gcount() > 0) {
    text.append(part, 0, size_t(stream.gcount()));
  }
  if (fs::is_directory(path, unreadable) || !stream.is_open() || stream.bad()) {
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
  beside_ = target_ + ".partial";
  descriptor_ =
      ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail();
}

FileWriter::~FileWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(beside_.c_str());
}

void FileWriter::fail() const {
  throw Error(path_, 0,
              std::string("cannot be written (") + std::strerror(errno) +
                  "); choose a folder that you may write to");
}

void FileWriter::write(const void* data, size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    bytes += written;
    size -= size_t(written);
  }
}

void FileWriter::commit() {
  if (::fsync(descriptor_) != 0 || ::rename(beside_.c_str(), target_.c_str()) != 0) fail();
  ::close(descriptor_);
  descriptor_ = -1;
}

void write_file(const std::string& path, std::string_view text) {
  FileWriter file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace ridgewalk
