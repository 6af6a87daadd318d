#include "experiments/commands/zoo.h"

#include <memory>

#include <fmt/format.h>

#include "experiments/machine/frames.h"
#include "experiments/machine/resources.h"
#include "experiments/run/counted.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/quantization/random_ranges.h"

namespace ridgewalk {
namespace {

constexpr int kThreadCounts[] = {1, 2, 4, 8};

Json zoo_record(const Architecture& architecture, const Graph& graph, DataType type,
                double megabytes, const std::vector<FrameRate>& rates) {
  Json result = {{"name", architecture.name},
                 {"resolution", architecture.resolution},
                 {"precision", to_string(type)},
                 {"megabytes", megabytes},
                 {"parameters", parameter_count(graph)},
                 {"threads", Json::array()}};
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

Network folded_network(const ZooOptions& options, const Graph& graph) {
  if (!options.weights) return fresh_network(graph);
  const Network given = load_network(*options.weights, graph, torch::kCPU);
  return fold_norms(given.graph, given.parameters);
}

}  // namespace

Json zoo_records(const ZooOptions& options) {
  Json records = Json::array();
  for (const Architecture& architecture : options.networks) {
    const Graph graph = lower(architecture);
    Network network = folded_network(options, graph);
    if (options.int8_weights) require_quantized(*options.int8_weights, architecture);
    const QuantizedNetwork quantized = options.int8_weights ? load_quantized(*options.int8_weights)
                                                            : quantized_for_timing(network);
    const double fp32_megabytes = 4e-6 * double(parameter_count(network.graph));
    records.push_back(zoo_record(
        architecture, graph, DataType::kFp32, fp32_megabytes,
        frame_rates([&] { return std::make_unique<Inference>(network, 1); }, options.seconds)));
    records.push_back(zoo_record(
        architecture, graph, DataType::kInt8, 1e-6 * double(stored_bytes(quantized)),
        frame_rates([&] { return std::make_unique<Inference>(quantized, 1); }, options.seconds)));
  }
  return records;
}

std::string zoo_table(const Json& records) {
  std::string head = "| network | pixels | type | MB | parameters (M) |";
  std::string rule = "|---|---|---|---|---|";
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
    for (const Json& rate : record["threads"]) {
      rows += fmt::format(" {:.3f} | {:.1f} |", rate["latency_ms"].get<double>(),
                          rate["frames_per_second"].get<double>());
    }
    rows += "\n";
  }
  return head + "\n" + rule + "\n" + rows;
}

}  // namespace ridgewalk
