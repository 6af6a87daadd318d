#include "experiments/evidence/trainings.h"

#include <set>

#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

bool is_share(const Json& accuracy) {
  return accuracy.is_object() && accuracy.contains("top1") && accuracy["top1"].is_number() &&
         accuracy["top1"] >= 0 && accuracy["top1"] <= 1;
}

// What training_phase() leaves and its readers rely on.
bool is_training(const Json& training) {
  if (!training.contains("weights") || !training["weights"].is_string()) return false;
  for (const char* split : {"train", "search_validation"}) {
    if (!training.contains(split)) return false;
    if (!training[split].is_null() && !is_share(training[split])) return false;
  }
  return training.contains("test") && is_share(training["test"]);
}

}  // namespace

std::string trainings_text(const Trainings& trainings) {
  Json networks = Json::array();
  for (const TrainedNetwork& network : trainings.networks) {
    networks.push_back(
        {{"architecture", to_yaml(network.architecture)}, {"trainings", network.trainings}});
  }
  return json_text({{"data", trainings.data},
                    {"made_with", trainings.made_with},
                    {"recipe", trainings.recipe},
                    {"seed", trainings.seed},
                    {"networks", networks}});
}

Trainings read_trainings(const std::string& path) {
  const std::string remedy = "is not a ranking's trainings; give the --out of an earlier rank";
  try {
    const Json saved = Json::parse(read_file(path));
    Trainings trainings{.data = saved.at("data"),
                        .made_with = saved.at("made_with"),
                        .recipe = saved.at("recipe"),
                        .seed = saved.at("seed"),
                        .networks = {}};
    std::set<std::string> names;  // of phases and files
    for (const Json& network : saved.at("networks")) {
      TrainedNetwork one{
          architecture_from_yaml(network.at("architecture").get<std::string>(), path),
          network.at("trainings")};
      for (const Json& training : one.trainings) {
        if (!is_training(training)) throw Error(path, 0, remedy);
      }
      const std::string& name = one.architecture.name;
      if (!is_plain_name(name) || !names.insert(name).second) {
        throw Error(path, 0, "names a network '" + name + "' twice, or not as a file can be named");
      }
      trainings.networks.push_back(std::move(one));
    }
    if (trainings.networks.size() < 3) throw Error(path, 0, "has fewer than 3 networks");
    return trainings;
  } catch (const nlohmann::json::exception&) {
    throw Error(path, 0, remedy);
  }
}

}  // namespace ridgewalk
