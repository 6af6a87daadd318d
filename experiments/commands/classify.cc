#include <algorithm>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "experiments/commands/command_line.h"
#include "experiments/commands/memory_check.h"
#include "space/error.h"
#include "space/lowering.h"
#include "supernet/data/class_names.h"
#include "supernet/formats/weights.h"
#include "supernet/network/executor.h"
#include "supernet/network/precision.h"
#include "supernet/training/evaluate.h"
#include "supernet/training/provenance_check.h"

namespace ridgewalk {
namespace {

constexpr int kBatchSize = 64;

CommandLine classify_line() {
  namespace po = boost::program_options;
  CommandLine line(
      "classify ARCH IMAGE... --weights W",
      "The likeliest classes of pictures (JPEG or PNG), with names, mean and deviation\n"
      "as the weights say that they were trained with, else with ImageNet's mean and\n"
      "deviation. W is a safetensors file or what `ridgewalk export --format onnx` wrote\n"
      "of the network.",
      "arch", -1);
  line.add()("weights", po::value<std::string>(), "safetensors or ONNX file");
  line.add_number<int>("top", 1, 1000, "classes that are named", 5);
  line.add()("json", "for machines");
  line.add_crop_option();
  line.add_input_options();
  line.add_session_options();
  return line;
}

// The pictures as a data set without labels, cut out and normalised as the weights are used to.
Dataset pictures_of(const std::vector<std::string>& paths, const Architecture& architecture,
                    const std::string& weights, const CommandLine& line) {
  if (architecture.channels != 1 && architecture.channels != 3) {
    throw Error(fmt::format("'{}' takes images of {} channels; pictures have 1 or 3",
                            architecture.name, architecture.channels));
  }
  const std::optional<Provenance> trained = read_provenance(weights);
  Dataset data{
      .name = "pictures",
      .train = {},
      .search_validation = {},
      .test = {.images = {},
               .labels = torch::zeros({int64_t(paths.size())}, torch::kLong),
               .paths = paths},
      .classes = architecture.classes,
      .channels = architecture.channels,
      .resolution = architecture.resolution,
      .mean = kImageNetMean,  // where the weights do not say theirs
      .deviation = kImageNetDeviation,
      .damaged = std::make_shared<DamagedFiles>(true, true, "give one that can be decoded")};
  data.crop_fraction = line.folder_options(architecture.resolution).crop_fraction;
  if (!trained || trained->mean.size() != size_t(data.channels)) {
    if (data.channels == 3) return data;
    throw Error(
        weights, 0,
        "does not say how grey images are normalised; give weights that this program trained");
  }
  normalize_as(*trained, data);
  if (!line.given("crop-fraction")) {
    data.crop_fraction = trained->crop_fraction > 0 ? trained->crop_fraction : 1;
  }
  data.class_names = trained->classes.empty() ? known_class_names(trained->data) : trained->classes;
  if (int(data.class_names.size()) != data.classes) data.class_names.clear();
  return data;
}

// [images, classes]
torch::Tensor probabilities(const Network& network, const Executor& executor, const Dataset& data,
                            const Compute& compute) {
  at::NoGradGuard no_grad;
  const Autocast autocast(compute.precision, compute.device);
  std::vector<torch::Tensor> batches;
  for (int64_t first = 0; first < data.test.size(); first += kBatchSize) {
    std::vector<int64_t> images;
    for (int64_t n = first; n < std::min(first + kBatchSize, data.test.size()); ++n) {
      images.push_back(n);
    }
    const Batch batch = make_evaluation_batch(data, data.test, images);
    const auto input = network_input(batch.images, network.graph, compute.device);
    const auto logits = executor.forward(input, NormMode::kRunning).to(torch::kFloat);
    batches.push_back(logits.softmax(1).cpu());
  }
  return torch::cat(batches);
}

void print(const Dataset& data, const torch::Tensor& probabilities, int top, bool as_json) {
  const auto [values, labels] = probabilities.topk(std::min(top, data.classes), 1);
  Json result = Json::array();
  for (int64_t n = 0; n < data.test.size(); ++n) {
    const std::string& path = data.test.paths[size_t(n)];
    if (!as_json) fmt::print("{}\n", path);
    Json classes = Json::array();
    for (int64_t k = 0; k < values.size(1); ++k) {
      const auto label = labels[n][k].item<int64_t>();
      const auto probability = values[n][k].item<double>();
      const std::string name =
          data.class_names.empty() ? std::to_string(label) : data.class_names[size_t(label)];
      if (!as_json) fmt::print("  {:>6.2f} %  {}\n", 100 * probability, name);
      classes.push_back({{"label", label}, {"class", name}, {"probability", probability}});
    }
    result.push_back({{"image", path}, {"classes", std::move(classes)}});
  }
  if (as_json) fmt::print("{}\n", json_text(result));
}

}  // namespace

int classify_command(const Arguments& arguments) {
  CommandLine line = classify_line();
  if (!line.parse(arguments)) return 0;
  const Session session = line.session();
  std::vector<std::string> paths = line.words();
  const Architecture architecture = line.classifier(paths[0]);
  paths.erase(paths.begin());
  if (paths.empty()) throw Error("name at least one picture after the network");
  const std::string weights = line.required("weights");
  const Graph graph = lower(architecture);
  require_inference_memory(graph, std::min<int64_t>(kBatchSize, std::ssize(paths)), session);
  Network network = load_network(weights, graph, session.compute.device);
  const Dataset data = pictures_of(paths, architecture, weights, line);
  const Executor executor(network.graph, network.parameters);
  const torch::Tensor found = probabilities(network, executor, data, session.compute);
  if (!found.isfinite().all().item<bool>()) {
    throw Error(weights, 0, "gives logits that are not finite; the weights are damaged");
  }
  print(data, found, line.get<int>("top"), line.has("json"));
  return 0;
}

}  // namespace ridgewalk
