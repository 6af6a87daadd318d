// The folder of a run: what it was given, how far it is, what it found.
#pragma once

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "experiments/run/json.h"
#include "space/error.h"
#include "supernet/training/train.h"

namespace ridgewalk {

// Whether a text can be the name of a file or a folder in a run's folder: letters, digits, - and _.
bool is_plain_name(const std::string& text);

// Before the end of a fingerprint, which tells the data apart: a line of name and contents, then
// how they are normalised.
inline constexpr std::string_view kDataLine = "\ndata ";
// A line of every fingerprint but those of earlier versions, which had no keys.
inline constexpr std::string_view kDeviceKey = "device: ";

// Images per second of a phase: in training, and of the loader alone.
struct Rates {
  double training = 0;
  double loader = 0;
};
void to_json(Json& json, const Rates& rates);
void from_json(const Json& json, Rates& rates);

// Whether the folder `path` has a run in it.
bool holds_run(const std::string& path);
// Throws Error where it has one though none is to be resumed, and the other way round.
void require_run(const std::string& path, bool resume);

// A run is a list of named phases, each of many steps. One file, checkpoint.safetensors, holds all
// that the run needs to be resumed: the results of finished phases, the state and tensors of the
// current one, and the length of log.jsonl, which is cut back to it. The file is replaced as a
// whole, so a run killed at any moment resumes from it and repeats what came after, bit for bit.
//
// Results and states are structs with to_json() and from_json(). Reading one throws Error when the
// checkpoint holds something else.
class RunFolder {
 public:
  // Another process runs in the folder.
  class InUse : public Error {
   public:
    using Error::Error;
  };

  // A new run; `fingerprint` is all that its results depend on. Throws Error when the folder cannot
  // be written, holds a run already, or another process runs in it.
  static RunFolder create(const std::string& path, const std::string& fingerprint);
  // Throws Error when the folder holds no run, or one with another fingerprint, naming the data
  // where only they have changed.
  static RunFolder resume(const std::string& path, const std::string& fingerprint);
  // The run of another process, whose checkpoint is in this folder, if it had one. Writes neither
  // checkpoints nor a log; holds `folder` for as long as it lives.
  static RunFolder follow(const std::string& path, const std::string& fingerprint,
                          std::shared_ptr<void> folder);
  // resume() where the folder holds a run, else create().
  static RunFolder open(const std::string& path, const std::string& fingerprint);
  // The same for a folder that this process has to itself now, though another one may still hold
  // its logs open.
  static RunFolder take_over(const std::string& path, const std::string& fingerprint);
  // A run that no process works on any more, to adopt(). Throws Error where it is damaged.
  static RunFolder finished(const std::string& path, const std::string& fingerprint);
  // What create() was given; empty where the folder holds no run that can be resumed.
  static std::string fingerprint_of(const std::string& path);

  std::string file(const std::string& name) const { return path_ + "/" + name; }

  // Of a finished phase.
  template <class Result>
  std::optional<Result> result(const std::string& phase) const {
    const auto found = finished_.find(phase);
    if (found == finished_.end()) return std::nullopt;
    return read<Result>(*found);
  }
  double seconds(const std::string& phase) const;
  // What set_rates() was told of a phase.
  std::optional<Rates> rates(const std::string& phase) const;

  // Starts the clock of a phase. Returns its state where the run was stopped in the middle of it.
  template <class State>
  std::optional<State> begin(const std::string& phase) {
    start(phase);
    if (!unfinished_.is_object() || unfinished_.value("phase", "") != phase) return std::nullopt;
    return read<State>(unfinished_["state"]);
  }
  // The tensors that go with begin()'s state.
  void restore(const NamedTensors& tensors) const;

  // Of the current phase, kept beside its seconds.
  void set_rates(const Rates& rates) { rates_[phase_] = rates; }

  void log(const Json& record);
  // Writes the checkpoint of the current phase.
  void checkpoint(const Json& state, const NamedTensors& tensors);
  // Ends the current phase. Its other files must be on disk before.
  void finish(const Json& result);

  // A phase that goes on beside others: a run of its own in this folder, whose checkpoint and log
  // are NAME.checkpoint.safetensors and NAME.log.jsonl, continued where they exist.
  RunFolder part(const std::string& name) const;
  // Takes over the phases that a part has finished and its log, unless it has them, then removes
  // the part's checkpoint and log. Of a run in another folder all files are copied, and stay.
  void adopt(const RunFolder& part);
  // Removes what a crash may have left of a part after it was adopted.
  void drop_part(const std::string& name) const;

  std::string checkpoint_file() const;

  // What to throw when the checkpoint cannot be what a run of this program wrote.
  Error damaged() const;

 private:
  RunFolder(std::string path, const std::string& fingerprint);
  std::string log_file() const;
  void remove_files() const;
  void lock();
  enum class Log { kContinued, kRead };
  void read_checkpoint(Log log);
  void require_same(const std::string& fingerprint) const;
  void require_log() const;
  void cut_log() const;
  void copy_files(const RunFolder& part) const;
  void open_log(std::ios::openmode mode);
  void check_log() const;
  void start(const std::string& phase);
  void write(const Json& state, const NamedTensors& tensors);

  template <class T>
  T read(const Json& saved) const {
    try {
      return saved.get<T>();
    } catch (const Json::exception&) {
      throw damaged();
    } catch (const Error&) {  // of an architecture
      throw damaged();
    }
  }

  std::string path_;
  std::string prefix_;  // of the checkpoint and the log: empty, or "NAME." of a part
  std::string fingerprint_;
  bool follows_ = false;        // follow()
  std::shared_ptr<void> lock_;  // on the folder, for as long as this process runs in it
  std::ofstream log_;
  uintmax_t log_bytes_ = 0;  // at the checkpoint
  std::string phase_;
  Json finished_ = Json::object();
  Json seconds_ = Json::object();
  Json rates_ = Json::object();
  Json unfinished_;  // {"phase": ..., "state": ...} of the checkpoint read by resume()
  TensorFile resumed_;
  std::chrono::steady_clock::time_point began_;
  double before_ = 0;  // seconds of the current phase before this process
};

}  // namespace ridgewalk
