#include "experiments/commands/zoo.h"

#include <memory>

#include <fmt/format.h>

#include "experiments/machine/frames.h"
#include "experiments/machine/resources.h"
#include "experiments/run/counted.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

constexpr int kThreadCounts[] = {1, 2, 4, 8};

Json zoo_record(const Architecture& architecture, DataType type, double megabytes,
                const std::optional<double>& top1, const std::vector<FrameRate>& rates) {
  Json result = {{"name", architecture.name},
                 {"resolution", architecture.resolution},
                 {"precision", to_string(type)},
                 {"megabytes", megabytes},
                 {"parameters", parameter_count(lower(architecture))}};
  if (top1) result["top1"] = *top1;
  result["threads"] = Json::array();
  for (const FrameRate& rate : rates) {
    result["threads"].push_back({{"threads", rate.threads},
                                 {"latency_ms", 1e3 * rate.latency_seconds},
                                 {"frames_per_second", rate.frames_per_second}});
  }
  return result;
}

std::vector<FrameRate> frame_rates(const std::function<std::unique_ptr<Inference>()>& compile,
                                   double seconds) {
  std::vector<FrameRate> rates;
  for (int threads : kThreadCounts) {
    if (threads > 1 && threads > usable_cores()) break;
    rates.push_back(measure_frames(compile, threads, seconds));
  }
  return rates;
}

}  // namespace

void add_zoo_records(const ZooNetwork& network, double seconds, Json& records) {
  const double fp32_megabytes = 4e-6 * double(parameter_count(network.fp32.graph));
  records.push_back(zoo_record(
      network.architecture, DataType::kFp32, fp32_megabytes, network.fp32_top1,
      frame_rates([&] { return std::make_unique<Inference>(network.fp32, 1); }, seconds)));
  records.push_back(zoo_record(
      network.architecture, DataType::kInt8, 1e-6 * double(stored_bytes(network.int8)),
      network.int8_top1,
      frame_rates([&] { return std::make_unique<Inference>(network.int8, 1); }, seconds)));
}

std::string zoo_table(const Json& records) {
  std::string head = "| network | pixels | type | MB | parameters (M) |";
  std::string rule = "|---|---|---|---|---|";
  const bool has_top1 = records[0].contains("top1");
  if (has_top1) head += " top-1 |", rule += "---|";
  for (const Json& rate : records[0]["threads"]) {
    const int threads = rate["threads"].get<int>();
    head += fmt::format(" ms, {} | frames/s, {} |", counted(threads, "thread"), threads);
    rule += "---|---|";
  }
  std::string rows;
  for (const Json& record : records) {
    rows +=
        fmt::format("| {} | {} | {} | {:.2f} | {:.2f} |", record["name"].get<std::string>(),
                    record["resolution"].get<int>(), record["precision"].get<std::string>(),
                    record["megabytes"].get<double>(), 1e-6 * record["parameters"].get<double>());
    if (has_top1) rows += fmt::format(" {:.2f} % |", 100 * record["top1"].get<double>());
    for (const Json& rate : record["threads"]) {
      rows += fmt::format(" {:.3f} | {:.1f} |", rate["latency_ms"].get<double>(),
                          rate["frames_per_second"].get<double>());
    }
    rows += "\n";
  }
  return head + "\n" + rule + "\n" + rows;
}

}  // namespace ridgewalk
