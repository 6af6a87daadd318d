#include "experiments/report/network_report.h"

#include <fmt/format.h>

#include "experiments/report/report.h"
#include "experiments/report/sweep.h"
#include "roofline/latency.h"

#ifndef RIDGEWALK_VERSION
#error "the build defines RIDGEWALK_VERSION"
#endif

namespace ridgewalk {
namespace {

struct BlockText {
  std::string operator()(const Conv& b) const {
    return fmt::format("Conv {0}x{0} w{1}", b.kernel, b.width);
  }
  std::string operator()(const FusedIb& b) const {
    return fmt::format("FusedIB {0}x{0} e{1} w{2}", b.kernel, b.expanded, b.width);
  }
  std::string operator()(const Uib& b) const {
    return fmt::format("{} {}/{} e{} w{}", instantiation(b), b.kernel1, b.kernel2, b.expanded,
                       b.width);
  }
  std::string operator()(const MobileMqa& b) const {
    return fmt::format("{} {}x{}x{}/{}", b.kv_heads > 1 ? "MHA" : "MQA", b.heads, b.key_dim,
                       b.value_dim, b.kv_stride);
  }
  std::string operator()(const DepthwiseSeparable& b) const {
    return fmt::format("DwSep {0}x{0} w{1}", b.kernel, b.width);
  }
  std::string operator()(const InvertedResidual& b) const {
    return fmt::format("IR {0}x{0} e{1} w{2}", b.kernel, b.expanded, b.width);
  }
  std::string operator()(const SqueezeExcite& b) const { return fmt::format("SE x{}", b.ratio); }
};

std::string block_text(const Block& block) {
  return std::visit(
      [](const auto& b) {
        std::string text = BlockText{}(b);
        if constexpr (requires { b.groups; }) {
          if (b.groups > 1) text += fmt::format(" g{}", b.groups);
        }
        return text;
      },
      block);
}

Json blocks_json(const Architecture& architecture) {
  Json stages = Json::array();
  stages.push_back({block_text(architecture.stem)});
  for (const auto& stage : architecture.stages) {
    Json blocks = Json::array();
    for (const Block& block : stage) blocks.push_back(block_text(block));
    stages.push_back(blocks);
  }
  Json head = Json::array();
  for (int width : {architecture.head.width, architecture.head.features}) {
    if (width > 0) head.push_back(fmt::format("Conv 1x1 w{}", width));
  }
  if (!head.empty()) stages.push_back(head);
  return stages;
}

}  // namespace

std::vector<NetworkRow> network_rows(const std::vector<NetworkRecord>& networks,
                                     const std::vector<MacsPerByte>& ridge_points, size_t reference,
                                     NetworkTypes types, int batch) {
  std::vector<Graph> graphs;
  std::vector<std::vector<OpCost>> costs;
  for (const NetworkRecord& network : networks) {
    const Graph& graph = graphs.emplace_back(lower(network.architecture));
    costs.push_back(on_axis(op_costs(graph), graph, types));
    for (OpCost& cost : costs.back()) cost = of_batch(cost, batch);
  }
  std::vector<NetworkRow> rows;
  for (size_t i = 0; i < networks.size(); ++i) {
    const NetworkCost cost = network_cost(graphs[i]);
    NetworkRow& row = rows.emplace_back(
        NetworkRow{.network = networks[i], .parameters = cost.parameters, .macs = cost.macs.value});
    for (MacsPerByte ridge_point : ridge_points) {
      row.relative_latency.push_back(latency(costs[i], ridge_point, types.stages) /
                                     latency(costs[reference], ridge_point, types.stages));
    }
  }
  return rows;
}

Json networks_json(const std::vector<NetworkRow>& rows) {
  Json list = Json::array();
  for (const NetworkRow& row : rows) {
    list.push_back({{"name", row.network.architecture.name},
                    {"kind", to_string(row.network.kind)},
                    {"parameters", row.parameters},
                    {"macs", row.macs},
                    {"relative_latency", row.relative_latency},
                    {"shared_accuracy", value_or_null(row.network.shared_top1)},
                    {"shared_split", "search-validation"},
                    {"test_accuracy", value_or_null(test_top1(row.network))},
                    {"blocks", blocks_json(row.network.architecture)}});
    if (!is_within(row.network.of_limits))
      list.back()["excess"] = excess_text(row.network.of_limits);
  }
  return list;
}

Json values_json(const std::vector<MacsPerByte>& ridge_points) {
  Json values = Json::array();
  for (MacsPerByte point : ridge_points) values.push_back(point.value);
  return values;
}

Json network_report(const std::string& title, const std::string& command,
                    const std::vector<NetworkRecord>& networks,
                    const std::vector<MacsPerByte>& shown) {
  return {{"title", title},
          {"created", now_text()},
          {"version", RIDGEWALK_VERSION},
          {"command", command},
          {"reference", networks[0].architecture.name},
          {"ridge_points", values_json(shown)},
          {"networks", networks_json(network_rows(networks, shown, 0))},
          {"sweep", sweep_json(networks, ridge_points(0, 500), {})},
          {"marks", profile_marks()}};
}

std::string network_table(const std::vector<NetworkRow>& rows,
                          const std::vector<MacsPerByte>& ridge_points) {
  std::string text = fmt::format("{:<22} {:>10} {:>11}", "network", "parameters", "MACs");
  for (MacsPerByte point : ridge_points) {
    text += fmt::format(" {:>7}", fmt::format("@{:g}", point.value));
  }
  text += fmt::format(" {:>8} {:>8}\n", "shared", "test");
  const auto percent = [](std::optional<double> share) {
    return share ? fmt::format("{:.2f} %", 100 * *share) : "-";
  };
  for (const NetworkRow& row : rows) {
    text += fmt::format("{:<22} {:>10} {:>11.0f}", row.network.architecture.name, row.parameters,
                        row.macs);
    for (double relative : row.relative_latency) text += fmt::format(" {:>7.3f}", relative);
    text += fmt::format(" {:>8} {:>8}", percent(row.network.shared_top1),
                        percent(test_top1(row.network)));
    const std::string excess = excess_text(row.network.of_limits);
    text += (excess.empty() ? "" : "  " + excess) + "\n";
  }
  return text;
}

}  // namespace ridgewalk
