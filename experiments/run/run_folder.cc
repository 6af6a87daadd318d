#include "experiments/run/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fmt/format.h>

#include "experiments/run/difference.h"
#include "experiments/run/environment.h"
#include "space/file.h"
#include "space/random.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpoint = "checkpoint.safetensors";
constexpr const char* kLog = "log.jsonl";
constexpr const char* kEnvironment = "environment.yaml";

// Bytes that are not UTF-8, as in a comment of a configuration, become U+FFFD.
std::string utf8(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string text_hash(const std::string& text) {
  uint64_t hash = text.size();
  for (const char c : text) hash = mix(hash, uint8_t(c));
  return fmt::format("{:016x}", hash);
}

}  // namespace

void to_json(Json& json, const Rates& rates) {
  json = {{"training", rates.training}, {"loader", rates.loader}};
}

void from_json(const Json& json, Rates& rates) {
  rates = {.training = number_or_nan(json.at("training")),
           .loader = number_or_nan(json.at("loader"))};
}

bool is_plain_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_';
  });
}

RunFolder::RunFolder(std::string path, const std::string& fingerprint)
    : path_(std::move(path)), fingerprint_(utf8(fingerprint)) {}

std::string RunFolder::checkpoint_file() const { return file(prefix_ + kCheckpoint); }
std::string RunFolder::log_file() const { return file(prefix_ + kLog); }

void RunFolder::lock() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw Error(path_, 0, "is not a readable folder; choose another --out");
  lock_ = {nullptr, [descriptor](void*) { ::close(descriptor); }};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    throw InUse(path_, 0,
                "another ridgewalk is running there; wait for it, or choose another --out");
  }
}

bool holds_run(const std::string& path) { return path_exists(path + "/" + kCheckpoint); }

void require_run(const std::string& path, bool resume) {
  if (holds_run(path) == resume) return;
  throw Error(path, 0,
              resume ? "holds no run to resume; leave --resume out"
                     : "already holds a run; give --resume to continue it, or another --out");
}

RunFolder RunFolder::create(const std::string& path, const std::string& fingerprint) {
  require_run(path, false);
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed) {
    throw_if_disk_failed(path, failed.value());
    throw Error(path, 0, "cannot be created (" + failed.message() + "); choose another --out");
  }
  RunFolder run(path, fingerprint);
  run.lock();
  run.write({}, {});
  run.open_log(std::ios::trunc);
  record_environment(run.file(kEnvironment));
  return run;
}

RunFolder RunFolder::resume(const std::string& path, const std::string& fingerprint) {
  require_run(path, true);
  RunFolder run(path, fingerprint);
  run.lock();
  run.read_checkpoint(Log::kContinued);
  run.open_log(std::ios::app);
  record_environment(run.file(kEnvironment));
  return run;
}

RunFolder RunFolder::open(const std::string& path, const std::string& fingerprint) {
  return holds_run(path) ? resume(path, fingerprint) : create(path, fingerprint);
}

RunFolder RunFolder::take_over(const std::string& path, const std::string& fingerprint) {
  std::vector<std::string> logs;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().filename().string().ends_with(kLog)) logs.push_back(entry.path());
  }
  for (const std::string& log : logs) write_file(log, read_file(log));  // a file of its own
  RunFolder run(path, fingerprint);
  if (path_exists(run.checkpoint_file())) {
    run.read_checkpoint(Log::kContinued);
    run.open_log(std::ios::app);
  } else {
    run.remove_files();
    run.write({}, {});
    run.open_log(std::ios::trunc);
  }
  record_environment(run.file(kEnvironment));
  return run;
}

RunFolder RunFolder::finished(const std::string& path, const std::string& fingerprint) {
  RunFolder run(path, fingerprint);
  run.read_checkpoint(Log::kRead);
  return run;
}

RunFolder RunFolder::follow(const std::string& path, const std::string& fingerprint,
                            std::shared_ptr<void> folder) {
  RunFolder run(path, fingerprint);
  run.follows_ = true;
  run.lock_ = std::move(folder);
  if (fs::exists(run.checkpoint_file())) run.read_checkpoint(Log::kRead);
  return run;
}

std::string RunFolder::fingerprint_of(const std::string& path) {
  const std::string checkpoint = path + "/" + kCheckpoint;
  if (!path_exists(checkpoint)) return "";
  try {
    return Json::parse(read_safetensors(checkpoint).metadata.at("fingerprint")).get<std::string>();
  } catch (const std::exception&) {  // resume() says what is wrong with it
    return "";
  }
}

RunFolder RunFolder::part(const std::string& name) const {
  RunFolder part(path_, "");
  part.prefix_ = name + ".";
  part.fingerprint_ = fingerprint_;
  part.follows_ = follows_;
  if (fs::exists(part.checkpoint_file())) {
    part.read_checkpoint(Log::kContinued);
    part.open_log(std::ios::app);
  } else {
    part.write({}, {});
    part.open_log(std::ios::trunc);
  }
  return part;
}

// A crash leaves either the part as it was, or its phases here and maybe files of the part: until
// write() has replaced the checkpoint, what was added to the log does not count.
void RunFolder::adopt(const RunFolder& part) {
  const bool is_elsewhere = part.path_ != path_;
  const auto items = part.finished_.items();
  const bool has_all = std::all_of(items.begin(), items.end(), [&](const auto& phase) {
    return finished_.contains(phase.key());
  });
  if (is_elsewhere && has_all) return;
  if (is_elsewhere) copy_files(part);
  if (!follows_) {
    log_ << read_file(part.log_file()).substr(0, part.log_bytes_);
    check_log();
  }
  for (const auto& [phase, result] : part.finished_.items()) {
    finished_[phase] = result;
    seconds_[phase] = part.seconds(phase);
    if (part.rates_.contains(phase)) rates_[phase] = part.rates_[phase];
  }
  phase_.clear();  // the clock of an earlier phase has stopped
  write({}, {});
  if (!is_elsewhere) part.remove_files();
}

void RunFolder::copy_files(const RunFolder& part) const {
  for (const auto& entry : fs::directory_iterator(part.path_)) {
    const std::string name = entry.path().filename();
    // What a killed process has not finished is no file of the run.
    if (name == kCheckpoint || name == kLog || name.ends_with(".partial")) continue;
    const std::string text = read_file(entry.path());
    if (name == kEnvironment) {
      add_environment(file(name), text);
    } else {
      write_file(file(name), text);
    }
  }
}

void RunFolder::drop_part(const std::string& name) const {
  RunFolder part(path_, "");
  part.prefix_ = name + ".";
  part.remove_files();
}

void RunFolder::remove_files() const {
  std::error_code ignored;  // what is left is removed when the run is resumed
  fs::remove(checkpoint_file(), ignored);
  fs::remove(log_file(), ignored);
}

void RunFolder::read_checkpoint(Log log) {
  const std::string path = checkpoint_file();
  resumed_ = read_safetensors(path);
  const auto& metadata = resumed_.metadata;
  try {
    if (metadata.at("hash") != text_hash(metadata.at("run"))) throw damaged();
    const Json state = Json::parse(metadata.at("run"));
    finished_ = state.at("finished");
    seconds_ = state.at("seconds");
    rates_ = state.value("images_per_second", Json::object());
    unfinished_ = state.at("current");
    const bool is_sound =
        finished_.is_object() && rates_.is_object() && seconds_.is_object() &&
        std::all_of(seconds_.begin(), seconds_.end(), [](const Json& s) { return s.is_number(); });
    if (!is_sound) throw damaged();
    require_same(metadata.at("fingerprint"));
    log_bytes_ = state.at("log_bytes").get<uintmax_t>();
    require_log();
    if (log == Log::kContinued) cut_log();
  } catch (const Json::exception&) {
    throw Error(path, 0, "is not a checkpoint of a run; start again with another --out");
  } catch (const std::out_of_range&) {
    throw Error(path, 0, "is not a checkpoint of a run; start again with another --out");
  }
}

void RunFolder::require_same(const std::string& fingerprint) const {
  // Both are JSON strings: utf8().
  const auto run = Json::parse(fingerprint).get<std::string>();
  const auto now = Json::parse(fingerprint_).get<std::string>();
  if (run == now) return;
  const auto refuse = [&](const std::string& why) { throw Error(checkpoint_file(), 0, why); };
  const std::string keyed = "\n" + std::string(kDeviceKey);
  if (now.find(keyed) != std::string::npos && run.find(keyed) == std::string::npos) {
    refuse(
        "is of an earlier version, whose runs this one cannot continue; finish it with that "
        "version, or choose another --out");
  }
  const size_t run_end = std::min(run.size(), run.rfind(kDataLine));
  const size_t now_end = std::min(now.size(), now.rfind(kDataLine));
  if (run.substr(0, run_end) != now.substr(0, now_end)) {
    const std::string config = file("config.yaml");
    refuse("is of another configuration: " +
           first_difference("the run has", run.substr(0, run_end), now.substr(0, now_end)) +
           "; give what the run had" +
           (path_exists(config) ? " (its configuration is in " + config + ")" : "") +
           ", or another --out");
  }
  const std::string run_data = run.substr(run_end), now_data = now.substr(now_end);
  const auto line = [](const std::string& text) {
    return text.substr(0, text.find('\n', kDataLine.size()));
  };
  if (line(run_data) == line(now_data)) {
    refuse("is of images that were normalised differently: " +
           first_difference("the run has", run_data, now_data) +
           "; give the weights or data that the run had, or another --out");
  }
  const std::string data = line(now_data);
  const size_t name = kDataLine.size();
  refuse("the images of " + data.substr(name, data.rfind(' ') - name) +
         " have changed since the run began; restore them, or choose another --out");
}

void RunFolder::require_log() const {
  if (follows_) return;
  const std::string path = log_file();
  if (fs::exists(path) ? fs::file_size(path) >= log_bytes_ : log_bytes_ == 0) return;
  throw Error(path, 0,
              "is shorter than at the last checkpoint; restore it, or start again with another "
              "--out");
}

// To what it was at the checkpoint.
void RunFolder::cut_log() const {
  if (follows_) return;
  const std::string path = log_file();
  if (!fs::exists(path) || fs::file_size(path) == log_bytes_) return;
  std::error_code failed;
  fs::resize_file(path, log_bytes_, failed);
  if (failed) {
    throw_if_disk_failed(path, failed.value());
    throw Error(path, 0, "cannot be written (" + failed.message() + ")");
  }
}

void RunFolder::open_log(std::ios::openmode mode) {
  if (follows_) return;
  log_.open(log_file(), mode);
  check_log();
}

// Right after the log was opened or written: errno says why that failed.
void RunFolder::check_log() const {
  if (log_) return;
  throw_if_disk_failed(log_file(), errno);
  throw Error(log_file(), 0, std::string("cannot be written (") + std::strerror(errno) + ")");
}

double RunFolder::seconds(const std::string& phase) const { return seconds_.value(phase, 0.0); }

std::optional<Rates> RunFolder::rates(const std::string& phase) const {
  const auto found = rates_.find(phase);
  if (found == rates_.end()) return std::nullopt;
  return read<Rates>(*found);
}

void RunFolder::start(const std::string& phase) {
  phase_ = phase;
  before_ = seconds(phase);
  began_ = std::chrono::steady_clock::now();
}

void RunFolder::restore(const NamedTensors& tensors) const {
  ridgewalk::restore(tensors, resumed_, checkpoint_file());
}

void RunFolder::log(const Json& record) {
  if (follows_) return;
  log_ << record.dump() << '\n';
  check_log();
}

void RunFolder::checkpoint(const Json& state, const NamedTensors& tensors) {
  write({{"phase", phase_}, {"state", state}}, tensors);
}

void RunFolder::finish(const Json& result) {
  finished_[phase_] = result;
  write({}, {});
  unfinished_ = {};
  resumed_ = {};
}

Error RunFolder::damaged() const {
  return {checkpoint_file(), 0, "is damaged; start again with another --out"};
}

void RunFolder::write(const Json& current, const NamedTensors& tensors) {
  if (!phase_.empty()) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[phase_] = before_ + std::chrono::duration<double>(now - began_).count();
  }
  if (follows_) return;
  if (log_.is_open()) {
    log_.flush();
    check_log();
    sync_to_disk(log_file());  // before the checkpoint that gives its length
    log_bytes_ = fs::file_size(log_file());
  }
  const Json all = {{"finished", finished_},
                    {"seconds", seconds_},
                    {"images_per_second", rates_},
                    {"current", current},
                    {"log_bytes", log_bytes_}};
  const std::string state = all.dump(-1, ' ', false, Json::error_handler_t::replace);
  write_safetensors(
      checkpoint_file(),
      {.metadata = {{"run", state}, {"hash", text_hash(state)}, {"fingerprint", fingerprint_}},
       .tensors = tensors});
}

}  // namespace ridgewalk
