#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/onnx.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

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

}  // namespace

int export_command(const Arguments& arguments) {
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
  line.add()("seed", po::value<int64_t>()->default_value(0), "of fresh weights");
  line.add()("initialization", po::value<std::string>()->default_value("residual"),
             "of fresh layer scales: residual or released");
  line.add()("no-fold", "ONNX: keep batch norm and layer scale as nodes");
  line.add()("dtype", po::value<std::string>()->default_value("fp32"),
             "safetensors: fp32, fp16 or bf16");
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  const std::string format = line.required("format");
  const std::string out = line.required("out");
  const torch::ScalarType type = weight_type(line.get<std::string>("dtype"));
  if (format != "onnx" && format != "safetensors") {
    throw Error("--format must be onnx or safetensors");
  }
  const Architecture architecture = line.architecture(line.words()[0]);
  const Graph graph = lower(architecture);
  Network network{graph, ParameterStore(graph)};
  network.parameters.initialize(
      line.seed(),
      option_named<Initialization>("--initialization", line.get<std::string>("initialization")));
  if (line.has("weights")) load_weights(line.get<std::string>("weights"), network.parameters);
  if (format == "safetensors") {
    if (line.has("no-fold")) throw Error("--no-fold is for ONNX; safetensors keep every norm");
    save_weights(out, network.parameters, type);
  } else {
    if (type != torch::kFloat) throw Error("--dtype: ONNX is written in fp32 only");
    if (!line.has("no-fold")) network = fold_norms(network.graph, network.parameters);
    write_onnx(out, network.graph, network.parameters);
  }
  if (!session.quiet) fmt::print("{}: {} in {}\n", architecture.name, format, out);
  return 0;
}

}  // namespace ridgewalk
