// A library to preload into a program: its n-th call that changes a file fails, or the program ends
// there as by kill -9.
//
//   RIDGEWALK_WRITE_FAULT=KIND:N   what happens at the N-th call, counted from 1
//     full    the disk is full from then on: a write takes half of its bytes, all that follows
//     fails
//             with ENOSPC
//     error   this call alone fails with EIO
//     before  the process is killed before the call
//     after   the process is killed after the call
//   RIDGEWALK_WRITE_COUNT=FILE     receives the number of calls when the program ends by itself
//
// Counted are opening for writing, write, writev, pwrite, rename, fsync, fdatasync, truncate,
// ftruncate and mkdir, on files and folders; not standard output, pipes and sockets. Removing a
// file takes no space and is not counted: being killed around it is being killed after the call
// before it or before the call after it. glibc calls itself without the dynamic linker, so what
// stdio writes is not seen; the program under test writes its files by other means.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>

namespace {

enum class Kind { kNone, kFull, kError, kBefore, kAfter };

struct Plan {
  Kind kind = Kind::kNone;
  long at = 0;
};

std::atomic<long> calls{0};

Plan read_plan() {
  const char* text = std::getenv("RIDGEWALK_WRITE_FAULT");
  if (text == nullptr) return {};
  const std::string plan(text);
  const size_t colon = plan.find(':');
  const std::string kind = plan.substr(0, colon);
  const Kind kinds[] = {Kind::kFull, Kind::kError, Kind::kBefore, Kind::kAfter};
  const char* const names[] = {"full", "error", "before", "after"};
  for (int i = 0; i < 4; ++i) {
    if (kind == names[i] && colon != std::string::npos) {
      return {kinds[i], std::atol(text + colon + 1)};
    }
  }
  std::fprintf(stderr, "RIDGEWALK_WRITE_FAULT=%s is not KIND:N\n", text);
  std::abort();
}

struct Fault {
  Kind kind = Kind::kNone;
  bool is_first = false;  // of a full disk
};

// Of the call that begins now.
Fault next_fault() {
  static const Plan plan = read_plan();
  const long number = ++calls;
  if (number == plan.at) return {plan.kind, true};
  if (number > plan.at && plan.kind == Kind::kFull) return {plan.kind, false};
  return {};
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

// `call`, unless it is one that fails, which returns `failed`.
template <class Call, class Result = std::invoke_result_t<Call>>
Result with_fault(const Fault& fault, Call call, Result failed) {
  if (fault.kind == Kind::kBefore) die();
  if (fault.kind == Kind::kFull || fault.kind == Kind::kError) {
    errno = fault.kind == Kind::kFull ? ENOSPC : EIO;
    return failed;
  }
  const Result result = call();
  if (fault.kind == Kind::kAfter) die();
  return result;
}

template <class Call, class Result = std::invoke_result_t<Call>>
Result counted(Call call, Result failed) {
  return with_fault(next_fault(), call, failed);
}

bool is_on_disk(int descriptor) {
  struct stat status{};
  return descriptor > STDERR_FILENO && ::fstat(descriptor, &status) == 0 &&
         (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

bool is_for_writing(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }
bool is_for_writing(const char* mode) { return std::string(mode).find_first_of("wa+") < 3; }

int open_with(const char* name, const char* path, int flags, mode_t mode) {
  const auto call = [&] { return next<int (*)(const char*, int, ...)>(name)(path, flags, mode); };
  return is_for_writing(flags) ? counted(call, -1) : call();
}

FILE* fopen_with(const char* name, const char* path, const char* mode) {
  const auto call = [&] { return next<FILE* (*)(const char*, const char*)>(name)(path, mode); };
  return is_for_writing(mode) ? counted(call, static_cast<FILE*>(nullptr)) : call();
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

__attribute__((destructor)) void report_count() {
  const char* path = std::getenv("RIDGEWALK_WRITE_COUNT");
  if (path == nullptr) return;
  const std::string text = std::to_string(calls);
  const int file =
      next<int (*)(const char*, int, ...)>("open")(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  next<ssize_t (*)(int, const void*, size_t)>("write")(file, text.data(), text.size());
}

}  // namespace

// The names and types are the system's.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_with("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_with("open64", path, flags, mode);
}

FILE* fopen(const char* path, const char* mode) { return fopen_with("fopen", path, mode); }
FILE* fopen64(const char* path, const char* mode) { return fopen_with("fopen64", path, mode); }

ssize_t write(int descriptor, const void* data, size_t size) {
  const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  if (!is_on_disk(descriptor)) return real(descriptor, data, size);
  const Fault fault = next_fault();
  if (fault.kind == Kind::kFull && fault.is_first && size > 1) {
    return real(descriptor, data, size / 2);
  }
  return with_fault(fault, [&] { return real(descriptor, data, size); }, static_cast<ssize_t>(-1));
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  const auto call = [&] {
    return next<ssize_t (*)(int, const iovec*, int)>("writev")(descriptor, parts, count);
  };
  return is_on_disk(descriptor) ? counted(call, static_cast<ssize_t>(-1)) : call();
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  return counted(
      [&] {
        return next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite")(descriptor, data, size,
                                                                            offset);
      },
      static_cast<ssize_t>(-1));
}

int rename(const char* from, const char* to) noexcept {
  return counted([&] { return next<int (*)(const char*, const char*)>("rename")(from, to); }, -1);
}

int fsync(int descriptor) {
  const auto call = [&] { return next<int (*)(int)>("fsync")(descriptor); };
  return is_on_disk(descriptor) ? counted(call, -1) : call();
}

int fdatasync(int descriptor) {
  const auto call = [&] { return next<int (*)(int)>("fdatasync")(descriptor); };
  return is_on_disk(descriptor) ? counted(call, -1) : call();
}

int truncate(const char* path, off_t length) noexcept {
  return counted([&] { return next<int (*)(const char*, off_t)>("truncate")(path, length); }, -1);
}

int ftruncate(int descriptor, off_t length) noexcept {
  return counted([&] { return next<int (*)(int, off_t)>("ftruncate")(descriptor, length); }, -1);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return counted([&] { return next<int (*)(const char*, mode_t)>("mkdir")(path, mode); }, -1);
}

}  // extern "C"
