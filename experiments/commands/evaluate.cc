#include <chrono>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {

int evaluate_command(const Arguments& arguments) {
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
  line.add()("batch-size", po::value<int>()->default_value(500), "images");
  line.add()("json", "for machines");
  line.add_data_options();
  line.add_input_options();
  line.add_session_options();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  const int batch_size = line.get<int>("batch-size");
  if (batch_size < 1) throw Error("--batch-size must be at least 1");
  const Architecture architecture = line.architecture(line.words()[0]);
  const Dataset data =
      load_dataset(line.required("data"), 0, 0, line.folder_options(architecture.resolution));
  require_fits(architecture, data);
  Network weights =
      load_network(line.required("weights"), lower(architecture), session.compute.device);
  const Executor network(weights.graph, weights.parameters);
  const auto start = std::chrono::steady_clock::now();
  const Accuracy accuracy =
      evaluate(network, data, data.test, NormMode::kRunning, session.compute, batch_size);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  say_damaged(data, session);
  const double rate = double(data.test.size()) / seconds;
  if (line.has("json")) {
    const Json result = {{"name", architecture.name}, {"data", data.name},
                         {"split", "test"},           {"images", data.test.size()},
                         {"top1", accuracy.top1},     {"top5", accuracy.top5},
                         {"loss", accuracy.loss},     {"images_per_second", rate}};
    fmt::print("{}\n", json_text(result));
  } else {
    fmt::print(
        "{} on the {} test images of {}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}, {:.0f} "
        "images/s\n",
        architecture.name, data.test.size(), data.name, 100 * accuracy.top1, 100 * accuracy.top5,
        accuracy.loss, rate);
  }
  return 0;
}

}  // namespace ridgewalk
