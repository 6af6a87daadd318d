// The folder of a run: what it was given, how far it is, what it found.
#pragma once

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "supernet/training/train.h"

namespace ridgewalk {

using Json = nlohmann::ordered_json;
// Indented by one; bytes that are not UTF-8 become U+FFFD.
std::string json_text(const Json& json);
// JSON has no NaN and no infinity.
Json number_or_null(double value);

// Whether a text can be the name of a file or a folder in a run's folder: letters, digits, - and _.
bool is_plain_name(const std::string& text);

// A run is a list of named phases, each of many steps. One file, checkpoint.safetensors, holds all
// that the run needs to go on: the results of finished phases, the state and tensors of the current
// one, and how long log.jsonl was, which is cut back to there. It is replaced as a whole, so a run
// killed at any moment goes on from it and repeats what came after, bit for bit.
class RunFolder {
 public:
  // A new run; `fingerprint` is all that its results depend on. Throws Error when the folder cannot
  // be written, holds a run already, or another process runs in it.
  static RunFolder create(const std::string& path, const std::string& fingerprint);
  // Throws Error when the folder holds no run, or one of another fingerprint.
  static RunFolder resume(const std::string& path, const std::string& fingerprint);

  std::string file(const std::string& name) const { return path_ + "/" + name; }

  // Result of a phase that is over.
  const Json* result(const std::string& phase) const;
  double seconds(const std::string& phase) const;
  // What set_rates() was told of a phase, else null.
  Json rates(const std::string& phase) const;

  // Starts the clock of a phase. Its state where the run was stopped in the middle of it.
  std::optional<Json> begin(const std::string& phase);
  // The tensors that go with begin()'s state.
  void restore(const NamedTensors& tensors) const;

  // Images per second of the current phase, kept beside its seconds.
  void set_rates(const Json& rates) { rates_[phase_] = rates; }

  void log(const Json& record);
  // Writes the checkpoint of the current phase.
  void checkpoint(const Json& state, const NamedTensors& tensors);
  // Ends the current phase. What belongs to it must be on disk before.
  void finish(const Json& result);

 private:
  RunFolder(std::string path, const std::string& fingerprint);
  void lock();
  void write(const Json& state, const NamedTensors& tensors);

  std::string path_;
  std::string fingerprint_;
  std::shared_ptr<void> lock_;  // on the folder, for as long as this process runs in it
  std::ofstream log_;
  std::string phase_;
  Json finished_ = Json::object();
  Json seconds_ = Json::object();
  Json rates_ = Json::object();
  Json unfinished_;  // {"phase": ..., "state": ...} of the checkpoint read by resume()
  TensorFile resumed_;
  std::chrono::steady_clock::time_point began_;
  double before_ = 0;  // seconds of the current phase before this process
};

// Readable YAML of plain data.
std::string yaml_text(const Json& data);

// Largest resident memory of this process so far.
double peak_memory_mib();

}  // namespace ridgewalk
