#include "experiments/report/ratings.h"

#include <filesystem>

#include "space/published.h"
#include "space/yaml.h"

namespace ridgewalk {
namespace {

std::optional<RatedAccuracy> trained_accuracy(const YamlSource& source) {
  if (source.node.IsNull()) return std::nullopt;
  FieldReader result(source);
  std::string data = "the run's data";
  result.optional("data", data);
  return RatedAccuracy{
      .top1 = FieldReader(result.child("test")).required<double>("top1"),
      .images = data + " test",
      .source = "trained " + result.required<std::string>("weights") + ", " + source.file};
}

NetworkRecord emitted_network(const YamlSource& source, const std::string& folder) {
  FieldReader network(source);
  NetworkRecord result;
  result.architecture =
      load_architecture(folder + "/" + network.required<std::string>("architecture"));
  if (network.required<std::string>("kind") != "reference") {
    result.architecture.name = network.required<std::string>("name");
  }
  result.rated = trained_accuracy(network.child("accuracy_from_scratch"));
  return result;
}

NetworkRecord stage_result(const YamlSource& source, const std::string& stage) {
  FieldReader result(source);
  NetworkRecord network;
  network.architecture =
      architecture_from_yaml(result.required<std::string>("architecture"), source.file);
  network.architecture.name = stage;
  FieldReader best(result.child("best"));
  network.rated = RatedAccuracy{
      .top1 = best.required<double>("accuracy"),
      .images = best.required<std::string>("split") + ", shared weights of the " + stage + " stage",
      .source = source.file};
  return network;
}

}  // namespace

std::optional<RatedAccuracy> published_for(const std::string& name,
                                           const Architecture& architecture) {
  const auto published = published_accuracy(name);
  if (!published || architecture.resolution != published->resolution ||
      architecture.channels != 3 || architecture.classes != 1000) {
    return std::nullopt;
  }
  return RatedAccuracy{published->top1, "ImageNet-1k validation", published->source};
}

std::vector<NetworkRecord> networks_of_run(const std::string& folder) {
  const std::string path = folder + "/result.yaml";
  if (!std::filesystem::exists(path)) {
    throw Error(folder, 0, "holds no result.yaml; give the folder of a finished run");
  }
  FieldReader result(parse_yaml(read_file(path), path));
  std::vector<NetworkRecord> networks;
  if (result.has("networks")) {
    const YamlSource list = result.child("networks");
    if (!list.node.IsSequence()) list.fail("'networks' must be a list");
    for (const YAML::Node& network : list.node) {
      networks.push_back(emitted_network({network, path}, folder));
    }
  } else if (result.has("stages")) {
    const YamlSource stages = result.child("stages");
    if (!stages.node.IsMap()) stages.fail("'stages' must be a mapping 'stage: result'");
    for (const auto& stage : stages.node) {
      const auto name = yaml_value<std::string>({stage.first, path}, "a stage");
      networks.push_back(stage_result({stage.second, path}, name));
    }
  } else {
    networks.push_back({.architecture = load_architecture(folder + "/architecture.yaml"),
                        .rated = trained_accuracy(result.source())});
  }
  return networks;
}

}  // namespace ridgewalk
