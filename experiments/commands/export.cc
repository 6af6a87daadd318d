#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/machine/resources.h"
#include "experiments/run/json.h"
#include "space/error.h"
#include "space/features.h"
#include "space/file.h"
#include "space/lowering.h"
#include "space/suggestion.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_files.h"
#include "supernet/quantization/quantized_onnx.h"

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
      "Writes a network for other tools: ONNX (batch norm folded into the convolutions), or\n"
      "safetensors under timm's names. W is a safetensors file, or a folder that quantize wrote:\n"
      "then ONNX with QuantizeLinear and DequantizeLinear. Without it the weights are freshly\n"
      "initialised.",
      "arch", 1);
  line.add()("format", po::value<std::string>(), "onnx or safetensors");
  line.add()("out", po::value<std::string>(), "the file to write");
  line.add()("weights", po::value<std::string>(), "safetensors file, or quantised folder");
  line.add_seed("of fresh weights", 0);
  line.add()("initialization", po::value<std::string>()->default_value("residual"),
             "of fresh layer scales: residual or released");
  line.add()("no-fold", "ONNX: keep batch norm and layer scale as nodes");
  line.add()("features",
             "ONNX: the maps at strides 4, 8, 16 and 32 as outputs in place of the logits");
  line.add_number<int>("opset", kOldestOpset, kNewestOpset, "ONNX: of the operators", kNewestOpset);
  line.add_number<int>("batch", 1, 65536, "ONNX: images at a time, if not any number");
  line.add()("preprocessing",
             "ONNX: write FILE.yaml beside it, which says how pixels become its input; needs the "
             "weights of a training");
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
  bool folds = true, features = false, preprocessing = false;
  OnnxOptions onnx = {};
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
  const ExportOptions options{
      .format = option_named<Format>("--format", line.required("format")),
      .out = line.required("out"),
      .weights = line.find<std::string>("weights"),
      .seed = line.seed(),
      .initialization =
          option_named<Initialization>("--initialization", line.get<std::string>("initialization")),
      .type = weight_type(line.get<std::string>("dtype")),
      .folds = !line.has("no-fold"),
      .features = line.has("features"),
      .preprocessing = line.has("preprocessing"),
      .onnx = {.opset = line.get<int>("opset"), .batch = line.find<int>("batch").value_or(0)}};
  if (options.weights) refuse_overwriting(options.out, *options.weights);
  for (const char* option : {"no-fold", "features", "opset", "batch", "preprocessing"}) {
    if (options.format == Format::kSafetensors && line.given(option)) {
      throw Error(fmt::format("--{} is for ONNX; safetensors hold the weights alone", option));
    }
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
  if (options.weights && options.weights->ends_with(".onnx")) {
    throw Error(*options.weights, 0, "export reads safetensors; give those it was exported from");
  }
  if (options.weights) network.provenance = load_weights(*options.weights, network.parameters);
  return network;
}

// How pixels become the model's input, in words that toolchains of accelerators know.
std::string preprocessing_text(const Shape& input, const std::optional<Provenance>& trained,
                               const ExportOptions& options) {
  if (!trained || trained->mean.size() != size_t(input.channels)) {
    throw Error("--preprocessing: " + options.weights.value_or("fresh weights") +
                " do not say how their images were normalised; give weights that this program "
                "trained");
  }
  std::vector<double> mean, scale;
  for (size_t c = 0; c < trained->mean.size(); ++c) {
    mean.push_back(255 * trained->mean[c]);
    scale.push_back(1 / (255 * trained->deviation[c]));
  }
  const Json batch = options.onnx.batch > 0 ? Json(options.onnx.batch) : Json("any");
  const Json text = {{"input", "images"},
                     {"layout", "NCHW"},
                     {"shape", {batch, input.channels, input.height, input.width}},
                     {"type", "float32"},
                     {"colour", input.channels == 1 ? "grey" : "RGB"},
                     {"mean", mean},
                     {"scale", scale},
                     {"crop_fraction", trained->crop_fraction > 0 ? trained->crop_fraction : 1},
                     {"classes", trained->classes}};
  return "# The input is (byte - mean) * scale for each channel.\n" + yaml_text(text);
}

// Writes the model by `write`, and what goes beside it.
template <class Write>
void write_model(const Shape& input, const std::optional<Provenance>& trained,
                 const ExportOptions& options, Write write) {
  std::optional<FileWriter> preprocessing;
  if (options.preprocessing) {
    const std::string text = preprocessing_text(input, trained, options);
    preprocessing.emplace(options.out + ".yaml").write(text.data(), text.size());
  }
  write();
  if (preprocessing) preprocessing->commit();
}

void write(Network network, const ExportOptions& options) {
  if (options.format == Format::kSafetensors) {
    save_weights(options.out, network.parameters, options.type, network.provenance);
    return;
  }
  const std::optional<Provenance> provenance = network.provenance;
  write_model(network.graph.ops[0].output, provenance, options, [&] {
    if (options.folds) {
      network = fold_norms(network.graph, network.parameters);
      // The product of finite weights and norms may not be finite.
      require_possible(network.parameters,
                       options.weights.value_or("fresh weights") + ", norms folded in");
    }
    OnnxOptions onnx = options.onnx;
    if (options.features) onnx.features = feature_maps(network.graph);  // as it is written
    write_onnx(options.out, network.graph, network.parameters, provenance, onnx);
  });
}

// Returns what of it is int8.
std::string write_quantized(const Architecture& architecture, const ExportOptions& options) {
  const std::string& folder = *options.weights;
  if (options.format != Format::kOnnx) {
    throw Error("--format: " + folder +
                "/model.safetensors holds the quantised weights; give onnx");
  }
  if (!options.folds) throw Error("--no-fold: the norms of " + folder + " are folded already");
  require_quantized(folder, architecture);
  const QuantizedNetwork network = load_quantized(folder);
  const Graph& graph = network.quantized.graph;
  write_model(graph.ops[0].output, network.provenance, options, [&] {
    OnnxOptions onnx = options.onnx;
    if (options.features) onnx.features = feature_maps(graph);
    write_quantized_onnx(options.out, network, onnx);
  });
  return int8_summary(network.quantized);
}

}  // namespace

int export_command(const Arguments& arguments) {
  CommandLine line = export_line();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  const ExportOptions options = export_options(line);
  const Architecture architecture = line.architecture(line.words()[0]);
  std::string int8;
  if (options.weights && is_quantized(*options.weights)) {
    int8 = ": " + write_quantized(architecture, options);
  } else {
    write(network_of(architecture, options), options);
  }
  if (!session.quiet) {
    fmt::print("{}: {} in {}{}\n", architecture.name, line.get<std::string>("format"), options.out,
               int8);
  }
  return 0;
}

}  // namespace ridgewalk
