// The state of a run in its checkpoint: JSON of its phases, and what they are read as. The input's
// first line is the fingerprint of the run, JSON too. The hash is made to fit.
#include <fmt/format.h>

#include "experiments/run/results.h"
#include "experiments/run/run_folder.h"
#include "space/random.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

namespace {

std::string hash_of_state(const std::string& text) {
  uint64_t hash = text.size();
  for (const char c : text) hash = mix(hash, uint8_t(c));
  return fmt::format("{:016x}", hash);
}

// Safetensors without tensors.
std::string checkpoint(const std::string& fingerprint, const std::string& state) {
  const std::string header =
      Json{{"__metadata__",
            {{"run", state}, {"hash", hash_of_state(state)}, {"fingerprint", fingerprint}}}}
          .dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += char(header.size() >> (8 * i) & 0xff);
  return bytes + header;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFolder folder;
  std::string state = text_of(data, size);
  const std::string fingerprint = take_until('\n', state);
  folder.write("checkpoint.safetensors", checkpoint(fingerprint, state));
  folder.write("log.jsonl", "{}\n");
  refuse_or_accept([&] {
    RunFolder run = RunFolder::resume(folder.path(), "seed 1");
    const auto read = [&](const char* phase, const auto& as) {
      refuse_or_accept([&] { as(phase); });
      refuse_or_accept([&] { run.rates(phase); });
      refuse_or_accept([&] { run.seconds(phase); });
    };
    read("train", [&](const char* phase) { run.result<TrainingResult>(phase); });
    read("fine", [&](const char* phase) { run.result<StageOutcome>(phase); });
    read("train", [&](const char* phase) { run.begin<int>(phase); });
    read("trials", [&](const char* phase) { run.begin<std::vector<double>>(phase); });
  });
  return 0;
}
