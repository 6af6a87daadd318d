// The YAML of a training, of one network or of shared weights.
#pragma once

#include <string>

#include "supernet/supernet.h"

namespace ridgewalk {

struct YamlSource;

// {epochs, batch_size, optimizer, ...}: the `train` part of an experiment. Throws Error with file
// and line for what is unknown or out of range.
TrainOptions read_train(const YamlSource& source);
// The same as a file of its own.
TrainOptions load_train_options(const std::string& path);

// The `weights` part of an experiment: the shared weights of a search.
SupernetOptions read_weights(const YamlSource& source);

}  // namespace ridgewalk
