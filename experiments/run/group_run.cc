#include "experiments/run/group_run.h"

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <new>
#include <sstream>

#include "experiments/run/interrupt.h"
#include "space/file.h"
#include "space/hash.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

// Only its bits matter.
int64_t number_of(const std::string& text) { return int64_t(hash_of(text)); }

// All that a resumed run reads.
void copy_weights(ProcessGroup& group, const std::string& out, const std::string& scratch) {
  std::string names;
  if (group.is_first()) {
    for (const auto& entry : fs::directory_iterator(out)) {
      if (entry.path().extension() == ".safetensors")
        names += entry.path().filename().string() + "\n";
    }
  }
  std::istringstream lines(group.from_first(names));
  for (std::string name; std::getline(lines, name);) {
    copy_from_first(group, out + "/" + name, scratch + "/" + name);
  }
}

}  // namespace

ScratchFolder::ScratchFolder() : path_(fs::temp_directory_path() / "ridgewalk-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) {
    throw Error(path_, 0, "cannot be created; set TMPDIR to a folder for temporary files");
  }
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void require_same(ProcessGroup& group, const std::string& given) {
  const std::vector<int64_t> all = group.gathered(number_of(given), true);
  for (size_t r = 0; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    if (!group.is_first()) throw EndsSilently(2);
    throw Error("process " + std::to_string(r) + " of " + std::to_string(group.size()) +
                " was given another configuration, other options or other data than process 0; "
                "start all with the same");
  }
}

void in_first(ProcessGroup* group, const std::function<void()>& make) {
  if (group == nullptr) return make();
  if (!group->is_first()) {
    if (const int64_t code = group->from_first(0)) throw EndsSilently(int(code));
    return;
  }
  try {
    make();
  } catch (const Error&) {
    group->from_first(2);
    throw;
  } catch (...) {
    group->from_first(1);
    throw;
  }
  group->from_first(0);
}

void copy_from_first(ProcessGroup& group, const std::string& path, const std::string& copy) {
  const std::string bytes =
      group.from_first(group.is_first() && path_exists(path) ? read_file(path) : "");
  if (!group.is_first() && !bytes.empty()) write_file(copy, bytes);
}

RunFolder open_run(const std::string& out, bool resume, const std::string& fingerprint,
                   ProcessGroup* group) {
  std::optional<RunFolder> run;
  if (group != nullptr) require_same(*group, fingerprint);
  in_first(group, [&] {
    run = resume ? RunFolder::resume(out, fingerprint) : RunFolder::create(out, fingerprint);
  });
  if (group == nullptr) return *std::move(run);
  if (group->is_first()) {
    if (resume) copy_weights(*group, out, "");
    return *std::move(run);
  }
  const auto scratch = std::make_shared<ScratchFolder>();
  if (resume) copy_weights(*group, out, scratch->path());
  return RunFolder::follow(scratch->path(), fingerprint, scratch);
}

int as_member(ProcessGroup* group, const std::function<int()>& run) {
  if (group == nullptr) return run();
  const std::string who =
      "process " + std::to_string(group->rank()) + " of " + std::to_string(group->size()) + ": ";
  try {
    const int code = run();
    group->leave();
    return code;
  } catch (const Interrupted&) {
    group->leave();
    if (group->is_first()) throw;
    return 130;
  } catch (const EndsSilently&) {
    group->leave();
    throw;
  } catch (const Error& error) {
    if (group->is_first()) throw;
    throw Error(who + error.what());
  } catch (const std::bad_alloc&) {  // main() has words for these
    throw;
  } catch (const fs::filesystem_error&) {
    throw;
  } catch (const std::exception& error) {
    if (group->is_first()) throw;
    throw std::runtime_error(who + error.what());
  }
}

}  // namespace ridgewalk
