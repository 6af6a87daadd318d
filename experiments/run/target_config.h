// The targets and the reward in the YAML of an experiment.
#pragma once

#include "search/reward.h"
#include "space/search_space.h"
#include "space/yaml.h"

namespace ridgewalk {

// `targets`, a target or a list of them, and the key `reward` of `config`, if it has one. Throws
// Error with file and line for what is unknown, out of range or beyond what a device can answer.
Reward read_reward(FieldReader& config, const YamlSource& targets, const SearchSpace& space);

// The architecture with input and head of the space.
Architecture for_space(Architecture architecture, const SearchSpace& space);

}  // namespace ridgewalk
