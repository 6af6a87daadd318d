#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/commands/command_line.h"
#include "experiments/run/results.h"
#include "roofline/latency_model.h"
#include "roofline/memory.h"
#include "roofline/price.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/features.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

Json shape_json(const Shape& shape) { return {shape.channels, shape.height, shape.width}; }

std::string shape_text(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape.channels, shape.height, shape.width);
}

// How bytes and seconds are counted.
struct Counting {
  DataType type;
  ByteConvention convention;
  int batch;  // MACs, bytes, memory and time are of so many images
  std::optional<Profile> profile;
  std::optional<LatencyModel> model;  // of the profile
};

std::vector<OpCost> costs_of(const Graph& graph, const Counting& counting) {
  std::vector<OpCost> costs = op_costs(graph, counting.convention);
  for (OpCost& cost : costs) cost = of_batch(cost, counting.batch);
  return costs;
}

NetworkCost total_of(const Graph& graph, const Counting& counting) {
  return network_cost(graph, counting.convention, counting.batch);
}

double total_bytes(const NetworkCost& total, DataType type) {
  return double(bytes_per_element(type)) *
         double(total.weight_elements + total.activation_elements);
}

// Milliseconds on the profile, term by term, and by the laws of its ops where it has them.
Json latency_json(const Graph& graph, const Counting& counting) {
  const Prediction prediction = predict(graph, *counting.model);
  const auto ms = [](Seconds seconds) { return 1e3 * seconds.value; };
  Json result = {
      {"profile", counting.profile->name},      {"total_ms", ms(prediction.total())},
      {"roofline_ms", ms(prediction.roofline)}, {"depthwise_ms", ms(prediction.depthwise)},
      {"cache_ms", ms(prediction.cache)},       {"op_overhead_ms", ms(prediction.op_overhead)},
      {"floor_ms", ms(prediction.floor)},       {"upper_ms", ms(prediction.upper)},
      {"is_guess", counting.model->is_guess}};
  if (counting.profile->op_laws.empty() || counting.type != counting.profile->data_type) {
    return result;
  }
  const CalibratedLatency by_laws = predict_by_laws(graph, *counting.profile, counting.batch);
  result["laws_ms"] = ms(by_laws.total);
  result["ops_without_law"] = by_laws.unknown;
  return result;
}

// As the paper's table counts a detector.
int64_t parameters_of_tf_models(const Graph& detector, Architecture architecture) {
  architecture.detector.reset();
  return parameters_of_tf_models(lower(architecture), detector);
}

bool knows_energy(const Profile& profile) { return profile.energy.picojoules_per_mac.has_value(); }

// The profile's energy is of another data type than is asked for.
bool lacks_energy_of_type(const Counting& counting) {
  return counting.profile && knows_energy(*counting.profile) &&
         counting.type != counting.profile->data_type;
}

// What the network takes of the device beside time.
void add_resources(const Graph& graph, const Counting& counting, Json& result) {
  const std::vector<Bytes> memory = activation_memory(graph, counting.type, counting.batch);
  const auto peak = std::max_element(memory.begin(), memory.end());
  result["peak_memory_bytes"] = int64_t(peak->value);
  result["peak_memory_op"] = graph.ops[size_t(peak - memory.begin())].name;
  result["weight_memory_bytes"] = int64_t(weight_memory(graph, counting.type).value);
  if (!counting.profile) return;
  const ProfileMemory& device = counting.profile->memory;
  if (device.sram_kib) result["sram_kib"] = device.sram_kib->value;
  if (device.flash_kib) result["flash_kib"] = device.flash_kib->value;
  if (!knows_energy(*counting.profile) || lacks_energy_of_type(counting)) return;
  LatencyModel energy = energy_model(*counting.profile);
  energy.batch = counting.batch;
  result["energy_mj"] = price(graph, energy).value / unit_of(Resource::kEnergy)->unit;
}

Json totals(const Graph& graph, const Architecture& architecture, const Counting& counting) {
  const DataType type = counting.type;
  const NetworkCost total = total_of(graph, counting);
  const double moved = total_bytes(total, type);
  const Regularization& r = architecture.regularization;
  Json result = {{"name", architecture.name},
                 {"resolution", architecture.resolution},
                 {"channels", architecture.channels},
                 {"classes", architecture.classes},
                 {"batch", counting.batch},
                 {"parameters", total.parameters},
                 {"macs", static_cast<int64_t>(total.macs.value)},
                 {"attention_macs", static_cast<int64_t>(total.attention_macs.value)},
                 {"data_type", to_string(type)},
                 {"byte_convention", to_string(counting.convention)},
                 {"bytes", static_cast<int64_t>(moved)},
                 {"operational_intensity", total.macs.value / moved},
                 {"kernels",
                  {{"fused", kernel_count(graph, KernelConvention::kFused)},
                   {"unfused", kernel_count(graph, KernelConvention::kUnfused)}}},
                 {"training",
                  {{"norm_epsilon", architecture.norm.epsilon},
                   {"norm_momentum", architecture.norm.momentum},
                   {"layer_scale", architecture.layer_scale},
                   {"drop_path", r.drop_path},
                   {"flat_drop_path", r.flat_drop_path},
                   {"dropout", r.dropout}}}};
  if (architecture.detector) {
    result["parameters_of_tf_models"] = parameters_of_tf_models(graph, architecture);
  }
  add_resources(graph, counting, result);
  if (counting.model) result["latency"] = latency_json(graph, counting);
  return result;
}

Json description(const Graph& graph, const Architecture& architecture, const Counting& counting) {
  const DataType type = counting.type;
  const std::vector<OpCost> costs = costs_of(graph, counting);
  const std::vector<Bytes> memory = activation_memory(graph, type, counting.batch);
  Json result = totals(graph, architecture, counting);
  result["ops"] = Json::array();
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const OpCost& cost = costs[i];
    result["ops"].push_back({{"name", op.name},
                             {"kind", to_string(op.kind)},
                             {"inputs", std::vector<int>(op.inputs.begin(), op.inputs.end())},
                             {"input", shape_json(graph.ops[op.inputs[0]].output)},
                             {"output", shape_json(op.output)},
                             {"kernel", op.kernel},
                             {"stride", op.stride},
                             {"groups", groups_of(op)},
                             {"heads", op.heads},
                             {"bias", op.bias},
                             {"activation", to_string(op.activation)},
                             {"macs", static_cast<int64_t>(cost.macs.value)},
                             {"parameters", cost.parameters},
                             {"weight_elements", cost.weight_elements},
                             {"activation_elements", cost.activation_elements},
                             {"bytes", static_cast<int64_t>(bytes(cost, type).value)},
                             {"memory_bytes", static_cast<int64_t>(memory[i].value)},
                             {"operational_intensity", operational_intensity(cost, type).value}});
  }
  return result;
}

void print_ops(const Graph& graph, const Counting& counting) {
  const std::vector<OpCost> costs = costs_of(graph, counting);
  const std::vector<Bytes> memory = activation_memory(graph, counting.type, counting.batch);
  fmt::print("{:<32} {:<17} {:>12} {:>12} {:>13} {:>10} {:>11} {:>9} {:>11}\n", "op", "kind",
             "input", "output", "MACs", "parameters", "bytes", "MACs/byte", "in memory");
  for (size_t i = 1; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const OpCost& cost = costs[i];
    fmt::print("{:<32} {:<17} {:>12} {:>12} {:>13.0f} {:>10} {:>11.0f} {:>9.2f} {:>11.0f}\n",
               op.name, to_string(op.kind), shape_text(graph.ops[op.inputs[0]].output),
               shape_text(op.output), cost.macs.value, cost.parameters,
               bytes(cost, counting.type).value, operational_intensity(cost, counting.type).value,
               memory[i].value);
  }
}

std::string note_on_energy(const Profile& profile, DataType type) {
  return fmt::format("not known for {}: {} has it for {}", to_string(type), profile.name,
                     to_string(profile.data_type));
}

void print_resources(const Json& totals, const Counting& counting, bool is_detector) {
  const std::string profile = counting.profile ? counting.profile->name : "";
  constexpr double kKib = 1024;
  const auto line = [&](const char* title, const char* key, const std::string& what,
                        const char* device_key, const char* device) {
    const double kib = totals[key].get<double>() / kKib;
    fmt::print("  {:<15} {} bytes ({:.1f} KiB){}", title, totals[key].get<int64_t>(), kib, what);
    if (totals.contains(device_key)) {
      const double has = totals[device_key].get<double>();
      fmt::print("; {} has {:g} KiB of {}{}", profile, has, device,
                 kib <= has ? "" : ": does not fit");
    }
    fmt::print("\n");
  };
  line("peak memory", "peak_memory_bytes",
       " of activations, at " + totals["peak_memory_op"].get<std::string>(), "sram_kib", "SRAM");
  line("stored weights", "weight_memory_bytes", ", norms folded, biases of 4 bytes", "flash_kib",
       "flash");
  if (is_detector) {
    fmt::print(
        "                  (the towers' weights once per level: levels share the convolutions, "
        "and\n"
        "                  the norms that are folded into them differ)\n");
  }
  if (totals.contains("energy_mj")) {
    fmt::print("  energy          {:.4g} mJ on {}\n", totals["energy_mj"].get<double>(), profile);
  } else if (lacks_energy_of_type(counting)) {
    fmt::print("  energy          {}\n", note_on_energy(*counting.profile, counting.type));
  }
}

void print_latency(const Json& latency, const Counting& counting) {
  const auto ms = [&](const char* key) { return latency[key].get<double>(); };
  if (counting.model->is_guess) {
    fmt::print(
        "  latency         {} on {} by the peak of its datasheet: no network was measured,\n"
        "                  and phones' GPUs took 4 to 31 times as long as theirs say\n",
        milliseconds_text(ms("total_ms"), true), counting.profile->name);
    return;
  }
  fmt::print("  latency         {:.4g} ms{} on {} ({}): roofline {:.4g}", ms("total_ms"),
             counting.batch == 1 ? "" : fmt::format(" for {} images", counting.batch),
             counting.profile->name,
             counting.model->has_roofline
                 ? fmt::format("ridge point {:.4g}", counting.model->ridge_point.value)
                 : "overheads alone",
             ms("roofline_ms"));
  for (const auto& [key, name] : {std::pair("depthwise_ms", "depthwise"),
                                  {"cache_ms", "cache"},
                                  {"op_overhead_ms", "overheads"},
                                  {"floor_ms", "floor"}}) {
    if (ms(key) != 0) fmt::print(", {} {:+.4g}", name, ms(key));
  }
  fmt::print("; MACs and bytes one after the other {:.4g}\n", ms("upper_ms"));
  if (!latency.contains("laws_ms")) return;
  fmt::print("  by laws of ops  {:.4g} ms", ms("laws_ms"));
  if (!latency["ops_without_law"].empty()) {
    fmt::print(" at least: no law for {}",
               fmt::join(latency["ops_without_law"].get<std::vector<std::string>>(), ", "));
  }
  fmt::print("\n");
}

Json features_json(const Graph& graph) {
  Json result = Json::array();
  for (const FeatureMap& map : feature_maps(graph)) {
    result.push_back({{"name", map.name},
                      {"op", graph.ops[size_t(map.op)].name},
                      {"stride", map.stride},
                      {"shape", shape_json(map.shape)}});
  }
  return result;
}

void print_features(const Graph& graph) {
  fmt::print("{:<12} {:>6} {:>8} {:>12}  {}\n", "map", "stride", "channels", "shape", "output of");
  for (const FeatureMap& map : feature_maps(graph)) {
    fmt::print("{:<12} {:>6} {:>8} {:>12}  {}\n", map.name, map.stride, map.shape.channels,
               shape_text(map.shape), graph.ops[size_t(map.op)].name);
  }
}

std::string training_text(const Architecture& architecture) {
  const Regularization& r = architecture.regularization;
  return fmt::format(
      "norm epsilon {}, momentum {}; layer scale {}{}; drop path {}{}; dropout {}",
      architecture.norm.epsilon, architecture.norm.momentum, architecture.layer_scale,
      architecture.layer_scale > 0 ? " before each skip, elsewhere 1 (released: there too)" : "",
      r.drop_path, r.flat_drop_path ? " in every block" : "", r.dropout);
}

void print(const Graph& graph, const Architecture& architecture, const Counting& counting) {
  print_ops(graph, counting);
  const NetworkCost total = total_of(graph, counting);
  const double moved = total_bytes(total, counting.type);
  fmt::print("\n{} at {} pixels, {}{}\n", architecture.name, architecture.resolution,
             to_string(counting.type),
             counting.batch == 1 ? "" : fmt::format(", {} images", counting.batch));
  fmt::print("  parameters      {}\n", total.parameters);
  if (architecture.detector) {
    fmt::print(
        "                  {} with running statistics and the backbone's layers around its "
        "pool,\n                  as TF-models counts\n",
        parameters_of_tf_models(graph, architecture));
  }
  fmt::print("  MACs            {:.0f} ({:.4f} G), of them {:.0f} attention products\n",
             total.macs.value, total.macs.value / 1e9, total.attention_macs.value);
  fmt::print("  bytes           {:.0f}\n", moved);
  fmt::print("  MACs/byte       {:.2f}\n", total.macs.value / moved);
  fmt::print("  kernels         {} fused, {} unfused\n",
             kernel_count(graph, KernelConvention::kFused),
             kernel_count(graph, KernelConvention::kUnfused));
  Json resources;
  add_resources(graph, counting, resources);
  print_resources(resources, counting, architecture.detector.has_value());
  fmt::print("  training        {}\n", training_text(architecture));
  if (counting.model) print_latency(latency_json(graph, counting), counting);
}

// One line per network.
void print_totals(const Json& networks, const Counting& counting) {
  fmt::print("{:<28} {:>6} {:>12} {:>14} {:>14} {:>9} {:>9}", "network", "pixels", "parameters",
             "MACs", "attention MACs", "MACs/byte", "peak KiB");
  const bool has_energy = networks[0].contains("energy_mj");
  fmt::print("{}{}\n", has_energy ? fmt::format(" {:>9}", "mJ") : "",
             counting.model ? "  ms on " + counting.profile->name : "");
  for (const Json& network : networks) {
    fmt::print("{:<28} {:>6} {:>12} {:>14} {:>14} {:>9.2f} {:>9.1f}",
               network["name"].get<std::string>(), network["resolution"].get<int>(),
               network["parameters"].get<int64_t>(), network["macs"].get<int64_t>(),
               network["attention_macs"].get<int64_t>(),
               network["operational_intensity"].get<double>(),
               network["peak_memory_bytes"].get<double>() / 1024);
    if (has_energy) fmt::print(" {:>9.4g}", network["energy_mj"].get<double>());
    if (counting.model) {
      const Json& latency = network["latency"];
      const bool is_bound = !latency.value("ops_without_law", Json::array()).empty();
      const double ms = latency.value("laws_ms", latency["total_ms"].get<double>());
      if (counting.model->is_guess) {
        fmt::print(" {:>12}", milliseconds_text(ms, true));
      } else {
        fmt::print(" {:>2} {:>9.4g}", is_bound ? ">=" : "", ms);
      }
    }
    fmt::print("\n");
  }
  if (counting.batch != 1) fmt::print("of {} images\n", counting.batch);
  if (lacks_energy_of_type(counting)) {
    fmt::print("energy: {}\n", note_on_energy(*counting.profile, counting.type));
  }
}

Counting counting_of(const CommandLine& line) {
  Counting counting{
      .type = DataType::kInt8,
      .convention = option_named<ByteConvention>("--bytes", line.get<std::string>("bytes")),
      .batch = line.get<int>("batch"),
      .profile = {},
      .model = {}};
  if (line.has("profile")) {
    counting.profile = load_profile(line.get<std::string>("profile"));
    counting.type = counting.profile->data_type;
  }
  if (line.has("dtype"))
    counting.type = option_named<DataType>("--dtype", line.get<std::string>("dtype"));
  // A profile may know energy, and no peak that gives seconds.
  if (counting.profile && (counting.profile->peak() || !knows_energy(*counting.profile))) {
    counting.model = latency_model(*counting.profile, counting.type);
    counting.model->convention = counting.convention;
    counting.model->batch = counting.batch;
  }
  return counting;
}

CommandLine describe_line() {
  namespace po = boost::program_options;
  CommandLine line("describe ARCH... [--json]",
                   "Prints every operation of a network, or the totals of several. ARCH is a\n"
                   "catalogue name, a name with a width multiplier (mnv4-conv-small-050,\n"
                   "mobilenet-v2@1.3), a name of timm (mobilenetv4_conv_small.e2400_r224_in1k), a\n"
                   "YAML file, or `custom` with the arguments below.",
                   "arch", -1);
  line.add()("catalog", "the totals of every network of the catalogue");
  line.add()("json", "for machines");
  line.add()("features", "the maps at strides 4, 8, 16 and 32 that detectors read");
  line.add()(
      "dtype", po::value<std::string>(),
      "width of weights and activations: int8 (default, or the profile's), bf16, fp16, fp32");
  line.add()("bytes", po::value<std::string>()->default_value("mnv4"),
             "mnv4, mnv4-adds, weights-out, out-only, aten or block-fused");
  line.add_number<int>("batch", 1, kLargestBatch,
                       "images that run together: the weights are read once", 1);
  line.add()("profile", po::value<std::string>(),
             "predict the latency on it: roofline, terms, laws of ops");
  line.add_input_options();
  line.add_session_options();
  return line;
}

void describe_several(const std::vector<std::string>& names, const CommandLine& line,
                      const Counting& counting) {
  Json networks = Json::array();
  for (const std::string& name : names) {
    const Architecture architecture = line.architecture(name);
    networks.push_back(totals(lower(architecture), architecture, counting));
  }
  if (line.has("json")) {
    fmt::print("{}\n", json_text(networks));
  } else {
    print_totals(networks, counting);
  }
}

void describe_one(const std::string& name, const CommandLine& line, const Counting& counting) {
  const Architecture architecture = line.architecture(name);
  const Graph graph = lower(architecture);
  if (line.has("features")) {
    if (line.has("json")) {
      fmt::print("{}\n", json_text(features_json(graph)));
    } else {
      print_features(graph);
    }
  } else if (line.has("json")) {
    fmt::print("{}\n", json_text(description(graph, architecture, counting)));
  } else {
    print(graph, architecture, counting);
  }
}

}  // namespace

int describe_command(const Arguments& arguments) {
  CommandLine line = describe_line();
  if (!line.parse(arguments)) return 0;
  line.session();
  if (line.has("catalog") && line.has("arch")) {
    throw Error("--catalog describes the whole catalogue; leave the names out");
  }
  const Counting counting = counting_of(line);
  const std::vector<std::string> names = line.has("catalog") ? catalog_names() : line.words();
  if (names.size() > 1 && line.has("features")) {
    throw Error("--features describes one network; name one");
  }
  if (names.size() == 1) {
    describe_one(names[0], line, counting);
  } else {
    describe_several(names, line, counting);
  }
  return 0;
}

}  // namespace ridgewalk
