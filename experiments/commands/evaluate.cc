#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {
namespace {

CommandLine evaluate_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "evaluate ARCH --weights W --data D",
      "Accuracy of a network on the data set's test images, and images per second. W is\n"
      "a safetensors file or what `ridgewalk export --format onnx` wrote of the network:\n"
      "its weights then run in this program. D is one of\n" +
          std::string(kDatasets) + ".",
      "arch", 1);
  line.add()("weights", po::value<std::string>(), "safetensors or ONNX file");
  line.add()("data", po::value<std::string>(), "data set");
  line.add_number<int>("batch-size", 1, 65536, "images", 500);
  line.add()("json", "for machines");
  line.add_data_options();
  line.add_input_options();
  line.add_session_options();
  return line;
}

struct Evaluation {
  Accuracy accuracy;
  double images_per_second = 0;
};

Evaluation evaluate_on_test(Network network, const Dataset& data, const Compute& compute,
                            int batch_size) {
  const Executor executor(network.graph, network.parameters);
  const auto start = std::chrono::steady_clock::now();
  const Accuracy accuracy =
      evaluate(executor, data, data.test, NormMode::kRunning, compute, batch_size);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {accuracy, double(data.test.size()) / seconds.count()};
}

void print(const Evaluation& evaluation, const std::string& network, const Dataset& data,
           bool as_json) {
  const Accuracy& accuracy = evaluation.accuracy;
  if (as_json) {
    const Json result = {
        {"name", network},       {"data", data.name},
        {"split", "test"},       {"images", data.test.size()},
        {"top1", accuracy.top1}, {"top5", accuracy.top5},
        {"loss", accuracy.loss}, {"images_per_second", evaluation.images_per_second}};
    fmt::print("{}\n", json_text(result));
    return;
  }
  fmt::print(
      "{} on the {} test images of {}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}, {:.0f} "
      "images/s\n",
      network, data.test.size(), data.name, 100 * accuracy.top1, 100 * accuracy.top5, accuracy.loss,
      evaluation.images_per_second);
}

}  // namespace

int evaluate_command(const Arguments& arguments) {
  CommandLine line = evaluate_line();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  const int batch_size = line.get<int>("batch-size");
  const Architecture architecture = line.architecture(line.words()[0]);
  const Dataset data =
      load_dataset(line.required("data"), 0, 0, line.folder_options(architecture.resolution));
  require_fits(architecture, data);
  const Graph graph = lower(architecture);
  require_inference_memory(graph, std::min<int64_t>(batch_size, data.test.size()), session);
  const Evaluation evaluation =
      evaluate_on_test(load_network(line.required("weights"), graph, session.compute.device), data,
                       session.compute, batch_size);
  say_damaged(data, session);
  print(evaluation, architecture.name, data, line.has("json"));
  return 0;
}

}  // namespace ridgewalk
