#include "experiments/run/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "space/random.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpoint = "checkpoint.safetensors";
constexpr const char* kLog = "log.jsonl";

void emit(YAML::Emitter& out, const Json& data) {
  const bool flat =
      std::none_of(data.begin(), data.end(), [](const Json& item) { return item.is_structured(); });
  if (data.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : data.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, value);
    }
    out << YAML::EndMap;
  } else if (data.is_array()) {
    if (flat) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& value : data) emit(out, value);
    out << YAML::EndSeq;
  } else if (data.is_string()) {
    const auto& text = data.get_ref<const std::string&>();
    if (text.find('\n') != std::string::npos) out << YAML::Literal;
    out << text;
  } else if (data.is_null()) {
    out << YAML::Null;
  } else {
    out << data.dump();
  }
}

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

std::string json_text(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

bool is_plain_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_';
  });
}

RunFolder::RunFolder(std::string path, const std::string& fingerprint)
    : path_(std::move(path)), fingerprint_(utf8(fingerprint)) {}

void RunFolder::lock() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    throw Error(path_, 0, "is not a folder that can be read; choose another --out");
  lock_ = {nullptr, [descriptor](void*) { ::close(descriptor); }};
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    throw Error(path_, 0,
                "another ridgewalk is running there; wait for it, or choose another --out");
  }
}

RunFolder RunFolder::create(const std::string& path, const std::string& fingerprint) {
  if (fs::exists(path + "/" + kCheckpoint)) {
    throw Error(path, 0, "holds a run already; give --resume to go on with it, or another --out");
  }
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed)
    throw Error(path, 0, "cannot be made (" + failed.message() + "); choose another --out");
  RunFolder run(path, fingerprint);
  run.lock();
  run.write({}, {});
  run.log_.open(run.file(kLog), std::ios::trunc);
  return run;
}

RunFolder RunFolder::resume(const std::string& path, const std::string& fingerprint) {
  RunFolder run(path, fingerprint);
  const std::string file = run.file(kCheckpoint);
  if (!fs::exists(file)) throw Error(path, 0, "holds no run to resume; leave --resume out");
  run.lock();
  run.resumed_ = read_safetensors(file);
  const auto& metadata = run.resumed_.metadata;
  Json state;
  try {
    if (metadata.at("hash") != text_hash(metadata.at("run"))) {
      throw Error(file, 0, "is damaged; start anew with another --out");
    }
    state = Json::parse(metadata.at("run"));
    run.finished_ = state.at("finished");
    run.seconds_ = state.at("seconds");
    run.rates_ = state.value("images_per_second", Json::object());
    run.unfinished_ = state.at("current");
    if (metadata.at("fingerprint") != run.fingerprint_) {
      throw Error(file, 0,
                  "is of another configuration; give the one in " + run.file("config.yaml") +
                      ", or another --out");
    }
    const auto bytes = state.at("log_bytes").get<uintmax_t>();
    if (fs::exists(run.file(kLog)) && fs::file_size(run.file(kLog)) > bytes) {
      fs::resize_file(run.file(kLog), bytes);
    }
  } catch (const nlohmann::json::exception&) {
    throw Error(file, 0, "is not a checkpoint of a run; start anew with another --out");
  } catch (const std::out_of_range&) {
    throw Error(file, 0, "is not a checkpoint of a run; start anew with another --out");
  }
  run.log_.open(run.file(kLog), std::ios::app);
  return run;
}

const Json* RunFolder::result(const std::string& phase) const {
  const auto found = finished_.find(phase);
  return found == finished_.end() ? nullptr : &*found;
}

double RunFolder::seconds(const std::string& phase) const { return seconds_.value(phase, 0.0); }

Json RunFolder::rates(const std::string& phase) const { return rates_.value(phase, Json()); }

std::optional<Json> RunFolder::begin(const std::string& phase) {
  phase_ = phase;
  before_ = seconds(phase);
  began_ = std::chrono::steady_clock::now();
  if (unfinished_.is_object() && unfinished_["phase"] == phase) return unfinished_["state"];
  return std::nullopt;
}

void RunFolder::restore(const NamedTensors& tensors) const {
  ridgewalk::restore(tensors, resumed_, file(kCheckpoint));
}

void RunFolder::log(const Json& record) { log_ << record.dump() << '\n'; }

void RunFolder::checkpoint(const Json& state, const NamedTensors& tensors) {
  write({{"phase", phase_}, {"state", state}}, tensors);
}

void RunFolder::finish(const Json& result) {
  finished_[phase_] = result;
  write({}, {});
  unfinished_ = {};
  resumed_ = {};
}

void RunFolder::write(const Json& current, const NamedTensors& tensors) {
  if (!phase_.empty()) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[phase_] = before_ + std::chrono::duration<double>(now - began_).count();
  }
  uintmax_t log_bytes = 0;
  if (log_.is_open()) {
    log_.flush();
    if (!log_) throw Error(file(kLog), 0, "cannot be written; is the disk full?");
    log_bytes = fs::file_size(file(kLog));
  }
  const Json all = {{"finished", finished_},
                    {"seconds", seconds_},
                    {"images_per_second", rates_},
                    {"current", current},
                    {"log_bytes", log_bytes}};
  const std::string state = all.dump(-1, ' ', false, Json::error_handler_t::replace);
  write_safetensors(
      file(kCheckpoint),
      {.metadata = {{"run", state}, {"hash", text_hash(state)}, {"fingerprint", fingerprint_}},
       .tensors = tensors});
}

std::string yaml_text(const Json& data) {
  YAML::Emitter out;
  emit(out, data);
  return std::string(out.c_str()) + "\n";
}

double peak_memory_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

}  // namespace ridgewalk
