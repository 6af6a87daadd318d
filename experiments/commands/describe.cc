#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/description.h"
#include "experiments/run/results.h"
#include "space/catalog.h"
#include "space/error.h"
#include "space/lowering.h"

namespace ridgewalk {
namespace {

std::string shape_text(const Json& shape) {
  return fmt::format("{}", fmt::join(shape.get<std::vector<int>>(), "x"));
}

void print_ops(const Json& ops) {
  fmt::print("{:<32} {:<17} {:>12} {:>12} {:>13} {:>10} {:>11} {:>9} {:>11}\n", "op", "kind",
             "input", "output", "MACs", "parameters", "bytes", "MACs/byte", "in memory");
  for (const Json& op : ops) {
    fmt::print("{:<32} {:<17} {:>12} {:>12} {:>13} {:>10} {:>11} {:>9.2f} {:>11}\n",
               op["name"].get<std::string>(), op["kind"].get<std::string>(),
               shape_text(op["input"]), shape_text(op["output"]), op["macs"].get<int64_t>(),
               op["parameters"].get<int64_t>(), op["bytes"].get<int64_t>(),
               op["operational_intensity"].get<double>(), op["memory_bytes"].get<int64_t>());
  }
}

// "int8", "int8, head fp32"
std::string types_text(const NetworkTypes& types) {
  return std::string(to_string(types.stages)) +
         (types.are_mixed() ? ", head " + std::string(to_string(types.head)) : "");
}

std::string note_on_energy(const Counting& counting) {
  std::vector<std::string_view> known;
  for (DataType type : kValues<DataType>) {
    if (counting.profile->picojoules_per_mac(type)) known.push_back(to_string(type));
  }
  return fmt::format("not known for {}: {} has it for {}", types_text(counting.types),
                     counting.profile->name, fmt::join(known, ", "));
}

void print_resources(const Json& totals, const Counting& counting) {
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
  if (totals.contains("parameters_of_tf_models")) {
    fmt::print(
        "                  (the towers' weights once per level: levels share the convolutions, "
        "and\n"
        "                  the norms that are folded into them differ)\n");
  }
  if (totals.contains("energy_mj")) {
    fmt::print("  energy          {:.4g} mJ on {}\n", totals["energy_mj"].get<double>(), profile);
  } else if (lacks_energy_of_type(counting)) {
    fmt::print("  energy          {}\n", note_on_energy(counting));
  }
}

void print_latency(const Json& latency, const Counting& counting) {
  const auto ms = [&](const char* key) { return latency[key].get<double>(); };
  const std::string images =
      counting.batch == 1 ? "" : fmt::format(" for {} images", counting.batch);
  if (counting.model->is_guess()) {
    fmt::print("  latency         {}{} on {}, {}\n",
               milliseconds_text(latency.value("laws_ms", ms("total_ms")), true), images,
               counting.profile->name, why_guess(*counting.model));
    if (counting.model->is_by_datasheet) {
      fmt::print("                  (phones' GPUs took 4 to 31 times as long as theirs say)\n");
    }
    return;
  }
  fmt::print("  latency         {:.4g} ms{} on {} ({}): roofline {:.4g}", ms("total_ms"), images,
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

void print_features(const Json& maps) {
  fmt::print("{:<12} {:>6} {:>8} {:>12}  {}\n", "map", "stride", "channels", "shape", "output of");
  for (const Json& map : maps) {
    fmt::print("{:<12} {:>6} {:>8} {:>12}  {}\n", map["name"].get<std::string>(),
               map["stride"].get<int>(), map["shape"][0].get<int>(), shape_text(map["shape"]),
               map["op"].get<std::string>());
  }
}

std::string training_text(const Json& training) {
  const auto figure = [&](const char* key) { return training[key].get<double>(); };
  return fmt::format(
      "norm epsilon {}, momentum {}; layer scale {}{}; drop path {}{}; dropout {}",
      figure("norm_epsilon"), figure("norm_momentum"), figure("layer_scale"),
      figure("layer_scale") > 0 ? " before each skip, elsewhere 1 (released: there too)" : "",
      figure("drop_path"), training["flat_drop_path"].get<bool>() ? " in every block" : "",
      figure("dropout"));
}

void print_description(const Json& network, const Counting& counting) {
  print_ops(network["ops"]);
  const auto whole = [&](const char* key) { return network[key].get<int64_t>(); };
  fmt::print("\n{} at {} pixels, {}{}\n", network["name"].get<std::string>(), whole("resolution"),
             types_text(counting.types),
             counting.batch == 1 ? "" : fmt::format(", {} images", counting.batch));
  fmt::print("  parameters      {}\n", whole("parameters"));
  if (network.contains("parameters_of_tf_models")) {
    fmt::print(
        "                  {} with running statistics and the backbone's layers around its "
        "pool,\n                  as TF-models counts\n",
        whole("parameters_of_tf_models"));
  }
  fmt::print("  MACs            {} ({:.4f} G), of them {} attention products\n", whole("macs"),
             double(whole("macs")) / 1e9, whole("attention_macs"));
  fmt::print("  bytes           {}\n", whole("bytes"));
  fmt::print("  MACs/byte       {:.2f}\n", network["operational_intensity"].get<double>());
  fmt::print("  kernels         {} fused, {} unfused\n", network["kernels"]["fused"].get<int>(),
             network["kernels"]["unfused"].get<int>());
  print_resources(network, counting);
  fmt::print("  training        {}\n", training_text(network["training"]));
  if (counting.model) print_latency(network["latency"], counting);
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
      if (counting.model->is_guess()) {
        fmt::print(" {:>12}", milliseconds_text(ms, true));
      } else {
        fmt::print(" {:>2} {:>9.4g}", is_bound ? ">=" : "", ms);
      }
    }
    fmt::print("\n");
  }
  if (counting.batch != 1) fmt::print("of {} images\n", counting.batch);
  if (counting.model && counting.model->is_guess()) {
    fmt::print("~: {}\n", why_guess(*counting.model));
  }
  if (lacks_energy_of_type(counting)) {
    fmt::print("energy: {}\n", note_on_energy(counting));
  }
}

Counting counting_of(const CommandLine& line) {
  Counting counting{
      .types = {},
      .convention = option_named<ByteConvention>("--bytes", line.get<std::string>("bytes")),
      .batch = line.get<int>("batch"),
      .profile = {},
      .model = {}};
  if (line.has("profile")) {
    counting.profile = load_profile(line.get<std::string>("profile"));
    counting.types = {counting.profile->data_type};
  }
  if (line.has("dtype"))
    counting.types = {option_named<DataType>("--dtype", line.get<std::string>("dtype"))};
  if (line.has("head-dtype")) {
    counting.types.head =
        option_named<DataType>("--head-dtype", line.get<std::string>("head-dtype"));
  }
  // A profile may know energy, and no peak that gives seconds.
  if (counting.profile && (counting.profile->peak() || !knows_energy(*counting.profile))) {
    counting.model = with_head(latency_model(*counting.profile, counting.types.stages),
                               *counting.profile, counting.types.head);
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
  line.add()("head-dtype", po::value<std::string>(),
             "the same of what follows the last stage, where it stays in another type");
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
    networks.push_back(network_totals(lower(architecture), architecture, counting));
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
  const bool is_of_features = line.has("features");
  const Json found =
      is_of_features ? features_json(graph) : network_description(graph, architecture, counting);
  if (line.has("json")) {
    fmt::print("{}\n", json_text(found));
  } else if (is_of_features) {
    print_features(found);
  } else {
    print_description(found, counting);
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
