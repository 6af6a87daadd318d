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

// Takes labels and augmentation from a file of `ridgewalk distill`. Throws Error when there already
// is a teacher or an augmentation.
void use_distilled(const std::string& path, Distillation& distillation, Augmentation& augmentation);

// The seed that held-out images are drawn with: that of the distilled labels, of `weights` that
// training starts from or of the teacher, which must not have learned those images; else one of the
// run's. Throws Error when a file of weights cannot be read.
uint64_t split_seed(const Distillation& distillation, uint64_t seed,
                    const std::string& weights = "");

// The `weights` part of an experiment: the shared weights of a search.
SupernetOptions read_weights(const YamlSource& source);

}  // namespace ridgewalk
