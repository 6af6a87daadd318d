#include "experiments/evidence/trainings.h"

#include <algorithm>
#include <set>

#include "experiments/run/run_folder.h"
#include "space/error.h"
#include "space/file.h"

namespace ridgewalk {
namespace {

bool is_share(const std::optional<SplitAccuracy>& accuracy) {
  return !accuracy || (accuracy->top1 >= 0 && accuracy->top1 <= 1);
}

bool is_plausible(const TrainingResult& training) {
  return is_share(training.train) && is_share(training.search_validation) &&
         is_share(training.test);
}

}  // namespace

std::string trainings_text(const Trainings& trainings) {
  Json networks = Json::array();
  for (const NetworkRecord& network : trainings.networks) {
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
  const Error no_trainings(path, 0,
                           "is not a ranking's trainings; give the --out of an earlier rank");
  try {
    const Json saved = Json::parse(read_file(path));
    Trainings trainings{.data = saved.at("data"),
                        .made_with = saved.at("made_with"),
                        .recipe = saved.at("recipe"),
                        .seed = saved.at("seed")};
    std::set<std::string> names;  // of phases and files
    for (const Json& saved_network : saved.at("networks")) {
      NetworkRecord network{.architecture = architecture_from_yaml(
                                saved_network.at("architecture").get<std::string>(), path),
                            .kind = NetworkKind::kRandom,
                            .trainings = saved_network.at("trainings")};
      if (!std::all_of(network.trainings.begin(), network.trainings.end(), is_plausible)) {
        throw no_trainings;
      }
      const std::string& name = network.architecture.name;
      if (!is_plain_name(name) || !names.insert(name).second) {
        throw Error(path, 0,
                    "names a network '" + name + "', which is there twice or cannot name a file");
      }
      // One network is one draw of a ranking, under however many names.
      for (const NetworkRecord& other : trainings.networks) {
        Architecture renamed = network.architecture;
        renamed.name = other.architecture.name;
        if (renamed == other.architecture) {
          throw Error(path, 0,
                      "has the same network twice, as '" + other.architecture.name + "' and '" +
                          name + "'; remove one");
        }
      }
      trainings.networks.push_back(std::move(network));
    }
    if (trainings.networks.size() < 3) throw Error(path, 0, "has fewer than 3 networks");
    return trainings;
  } catch (const Json::exception&) {
    throw no_trainings;
  }
}

}  // namespace ridgewalk
