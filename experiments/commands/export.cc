#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/machine/resources.h"
#include "space/error.h"
#include "space/lowering.h"
#include "space/suggestion.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {
enum class Format { kOnnx, kSafetensors };
}  // namespace

template <>
inline constexpr auto kNames<Format> =
    name_table<Format>("format", {{Format::kOnnx, "onnx"}, {Format::kSafetensors, "safetensors"}});

namespace {

CommandLine export_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "export ARCH --format onnx|safetensors --out FILE [--weights W]",
      "Writes a network for other tools: ONNX (opset 17, dynamic batch, batch norm folded\n"
      "into the convolutions), or safetensors under timm's names. W is a safetensors file;\n"
      "without it the weights are freshly initialised.",
      "arch", 1);
  line.add()("format", po::value<std::string>(), "onnx or safetensors");
  line.add()("out", po::value<std::string>(), "the file to write");
  line.add()("weights", po::value<std::string>(), "safetensors file");
  line.add_seed("of fresh weights", 0);
  line.add()("initialization", po::value<std::string>()->default_value("residual"),
             "of fresh layer scales: residual or released");
  line.add()("no-fold", "ONNX: keep batch norm and layer scale as nodes");
  line.add()("dtype", po::value<std::string>()->default_value("fp32"),
             "safetensors: fp32, fp16 or bf16");
  line.add_input_options();
  line.add_session_options();
  return line;
}

struct ExportOptions {
  Format format = Format::kOnnx;
  std::string out;
  std::optional<std::string> weights;
  uint64_t seed = 0;  // of fresh weights
  Initialization initialization = Initialization::kResidual;
  torch::ScalarType type = torch::kFloat;
  bool folds = true;
};

torch::ScalarType weight_type(const std::string& name) {
  switch (option_named<DataType>("--dtype", name)) {
    case DataType::kFp32:
      return torch::kFloat;
    case DataType::kFp16:
      return torch::kHalf;
    case DataType::kBf16:
      return torch::kBFloat16;
    case DataType::kInt8:
      break;
  }
  throw Error("--dtype: weights are not written in int8; give fp32, fp16 or bf16");
}

ExportOptions export_options(const CommandLine& line) {
  const ExportOptions options{.format = option_named<Format>("--format", line.required("format")),
                              .out = line.required("out"),
                              .weights = line.find<std::string>("weights"),
                              .seed = line.seed(),
                              .initialization = option_named<Initialization>(
                                  "--initialization", line.get<std::string>("initialization")),
                              .type = weight_type(line.get<std::string>("dtype")),
                              .folds = !line.has("no-fold")};
  if (options.format == Format::kSafetensors && !options.folds) {
    throw Error("--no-fold is for ONNX; safetensors keep every norm");
  }
  if (options.format == Format::kOnnx && options.type != torch::kFloat) {
    throw Error("--dtype: ONNX is written in fp32 only");
  }
  return options;
}

Network network_of(const Architecture& architecture, const ExportOptions& options) {
  const Graph graph = lower(architecture);
  require_memory("'" + architecture.name + "'", {.weights = inference_memory(graph, 1).weights},
                 "choose a smaller network");
  Network network{graph, ParameterStore(graph)};
  network.parameters.initialize(options.seed, options.initialization);
  if (options.weights) network.provenance = load_weights(*options.weights, network.parameters);
  return network;
}

void write(const Network& network, const ExportOptions& options) {
  if (options.format == Format::kSafetensors) {
    save_weights(options.out, network.parameters, options.type, network.provenance);
    return;
  }
  if (!options.folds) {
    write_onnx(options.out, network.graph, network.parameters, network.provenance);
    return;
  }
  const Network folded = fold_norms(network.graph, network.parameters);
  // The product of finite weights and norms may not be finite.
  require_possible(folded.parameters,
                   options.weights.value_or("fresh weights") + ", norms folded in");
  write_onnx(options.out, folded.graph, folded.parameters, network.provenance);
}

}  // namespace

int export_command(const Arguments& arguments) {
  CommandLine line = export_line();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  const ExportOptions options = export_options(line);
  const Architecture architecture = line.architecture(line.words()[0]);
  write(network_of(architecture, options), options);
  if (!session.quiet) {
    fmt::print("{}: {} in {}\n", architecture.name, line.get<std::string>("format"), options.out);
  }
  return 0;
}

}  // namespace ridgewalk
