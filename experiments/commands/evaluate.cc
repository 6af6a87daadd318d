#include <algorithm>
#include <chrono>
#include <functional>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/compiled_accuracy.h"
#include "experiments/commands/memory_check.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"
#include "supernet/quantization/quantized_files.h"

namespace ridgewalk {
namespace {

CommandLine evaluate_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "evaluate ARCH --weights W --data D",
      "Accuracy of a network on the data set's test images, and images per second. W is\n"
      "a safetensors file, what `ridgewalk export --format onnx` wrote of the network: its\n"
      "weights then run in this program, or a folder that `ridgewalk quantize` wrote: with\n"
      "--precision int8 its integers are run by oneDNN. D is one of\n" +
          std::string(kDatasets) + ".",
      "arch", 1);
  line.add()("weights", po::value<std::string>(),
             "safetensors or ONNX file, or a folder of integers");
  line.add()("data", po::value<std::string>(), "data set");
  line.allow_int8();
  line.add_number<int>("batch-size", 1, 65536, "images", 500);
  line.add()("json", "for machines");
  line.add_data_options();
  line.add_input_options();
  line.add_lanes_options("batches");
  return line;
}

struct Evaluation {
  Accuracy accuracy;
  double images_per_second = 0;
};

Evaluation timed_evaluation(const std::function<Accuracy()>& evaluate) {
  const auto start = std::chrono::steady_clock::now();
  const Accuracy accuracy = evaluate();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {accuracy, double(accuracy.images) / seconds.count()};
}

Evaluation evaluate_on_test(Network network, const Dataset& data, const Compute& compute,
                            int batch_size) {
  const Executor executor(network.graph, network.parameters);
  return timed_evaluation([&] {
    return evaluate(executor, data, data.test, compute,
                    {.batch_size = batch_size, .of_all_classes = true});
  });
}

Evaluation evaluate_integers(const QuantizedNetwork& network, const Dataset& data,
                             const Compute& compute, int batch_size) {
  const auto compile = [&](int batch) { return std::make_unique<Inference>(network, batch); };
  return timed_evaluation([&] {
    return compiled_accuracy(compile, network.quantized.graph, data, compute, batch_size);
  });
}

void print(const Evaluation& evaluation, const std::string& network, const Dataset& data,
           bool as_json) {
  const Accuracy& accuracy = evaluation.accuracy;
  if (as_json) {
    const Json result = {{"name", network},
                         {"data", data.name},
                         {"split", "test"},
                         {"images", accuracy.images},
                         {"undecodable", accuracy.undecodable},
                         {"classes_without_images", accuracy.lost_classes},
                         {"top1", accuracy.top1},
                         {"top5", accuracy.top5},
                         {"loss", accuracy.loss},
                         {"images_per_second", evaluation.images_per_second}};
    fmt::print("{}\n", json_text(result));
    return;
  }
  fmt::print(
      "{} on the {} test images of {}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}, {:.0f} "
      "images/s\n",
      network, accuracy.images, data.name, 100 * accuracy.top1, 100 * accuracy.top5, accuracy.loss,
      evaluation.images_per_second);
  if (accuracy.undecodable > 0) {
    fmt::print("left out: {} images that cannot be decoded\n", accuracy.undecodable);
  }
  for (const std::string& name : accuracy.lost_classes) {
    fmt::print("class {} has no image that can be read\n", name);
  }
}

}  // namespace

int evaluate_command(const Arguments& arguments) {
  CommandLine line = evaluate_line();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  const int batch_size = line.get<int>("batch-size");
  const Architecture architecture = line.classifier(line.words()[0]);
  const std::string weights = line.required("weights");
  const bool is_int8 = session.compute.precision == DataType::kInt8;
  if (is_int8) {
    require_quantized(weights, architecture);
  } else if (is_quantized(weights)) {
    throw Error(weights + " is quantised: give --precision int8");
  }
  const Dataset data = data_to_evaluate(weights, architecture, line, session);
  const Graph graph = lower(architecture);
  require_inference_memory(graph, std::min<int64_t>(batch_size, data.test.size()), session);
  const Evaluation evaluation =
      is_int8 ? evaluate_integers(load_quantized(weights), data, session.compute, batch_size)
              : evaluate_on_test(load_network(weights, graph, session.compute.device), data,
                                 session.compute, batch_size);
  say_damaged(data, session);
  require_finite(evaluation.accuracy, weights);
  print(evaluation, architecture.name, data, line.has("json"));
  return 0;
}

}  // namespace ridgewalk
