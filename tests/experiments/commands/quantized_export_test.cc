// A quantised network leaves the program.
#include "space/catalog.h"
#include "space/lowering.h"
#include "supernet/quantization/quantized_files.h"
#include "tests/experiments/commands/program.h"
#include "tests/formula_weights.h"
#include "tests/helpers.h"
#include "tests/supernet/quantization/small_quantized.h"

namespace ridgewalk {
namespace {

class QuantizedExport : public Program {
 protected:
  static std::string path(const std::string& name) { return folder_ + "/" + name; }
};

TEST_F(QuantizedExport, SaysWhatIsInt8) {
  const Architecture nano = find_architecture("compact-nano");
  const Graph graph = lower(nano);
  ParameterStore store(graph);
  fill(store);
  Network folded = fold_norms(graph, store);
  const Shape& image = graph.ops[0].output;
  const auto ranges = ranges_of(folded, uniform(1, {4, image.channels, image.height, image.width}));
  const std::string network = path("int8") + "/architecture.yaml";
  save_quantized(path("int8"), nano, quantize(folded, ranges, {}));
  const std::vector<std::string> command = {"export",   network, "--weights", path("int8"),
                                            "--format", "onnx",  "--out",     path("q.onnx")};
  const int operations = int(folded.graph.ops.size()) - 1;
  const auto says = [&](int int8, const std::string& fp32) {
    return nano.name + ": onnx in " + path("q.onnx") + ": " + std::to_string(int8) + " of " +
           std::to_string(operations) + " operations int8; fp32: " + fp32 + "\n";
  };
  const std::string softmax = "blocks.3.1.attn.softmax (softmax)";
  EXPECT_EQ(run(command).out, says(operations - 1, softmax));
  save_quantized(path("int8"), nano, quantize(folded, ranges, {.fp32_ops = {"classifier"}}));
  EXPECT_EQ(run(command).out, says(operations - 2, softmax + ", classifier (linear)"));
  const std::string model = read(path("q.onnx"));
  EXPECT_NE(model.find("QuantizeLinear"), std::string::npos);

  const auto also = [&](std::vector<std::string> options) {
    std::vector<std::string> words = command;
    words.insert(words.end(), options.begin(), options.end());
    return words;
  };
  expect_refused(also({"--opset", "12"}), {"no scales per channel in opset 12"});
  expect_refused(also({"--no-fold"}), {"--no-fold", "folded already"});
  expect_refused(also({"--resolution", "56"}), {"int8", "quantised at", "architecture.yaml"});
  for (const char* file : {"/model.safetensors", "/quantized.yaml", "/architecture.yaml"}) {
    std::vector<std::string> words = command;
    words.back() = path("int8") + file;
    expect_refused(words, {"would replace what it is made from"});
  }
  expect_refused({"bench", network, "--weights", path("int8"), "--zoo"},
                 {"is quantised", "--int8-weights"});
  fs::resize_file(path("int8") + "/model.safetensors", 1000);
  expect_refused(command, {"model.safetensors"});
  EXPECT_EQ(read(path("q.onnx")), model);  // what was there stays
}

}  // namespace
}  // namespace ridgewalk
