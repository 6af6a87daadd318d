// A run of several processes (supernet/training/process_group.h). The first one has the run's
// folder and says what there is to say; every other has a scratch folder, which goes with it.
#pragma once

#include <exception>
#include <functional>
#include <string>

#include "experiments/run/run_folder.h"
#include "supernet/training/process_group.h"

namespace ridgewalk {

// Ends a process that has nothing to say: the first one says it.
class EndsSilently : public std::exception {
 public:
  explicit EndsSilently(int exit_code) : exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// The run in `out`, new or resumed; in the other processes of a group one that has been given the
// first one's checkpoint and weights. Throws Error like RunFolder, and where a process was given
// something else than the first one.
RunFolder open_run(const std::string& out, bool resume, const std::string& fingerprint,
                   ProcessGroup* group);

// Waits until all processes have got this far. Throws Error in the first one, and ends the others
// silently, where one was given something else than the first.
void require_same(ProcessGroup& group, const std::string& given);

// `make`, in the first process; if that fails, the others end silently.
void in_first(ProcessGroup* group, const std::function<void()>& make);

// The bytes of the first process's file, in a file of each other; where there is none, in none.
void copy_from_first(ProcessGroup& group, const std::string& path, const std::string& copy);

// A command's exit code: what `run` returns, where this process is one of a group or works alone.
// Others than the first one say which they are when they fail, and nothing of an interrupt.
int as_member(ProcessGroup* group, const std::function<int()>& run);

// A folder for the files of a process, removed with all that is in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace ridgewalk
