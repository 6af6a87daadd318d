// Holds what weights were trained on against the data that they are used with.
#pragma once

#include <string>

#include "supernet/data/dataset.h"
#include "supernet/formats/weights.h"

namespace ridgewalk {

// What weights that are trained on these data say of them, and of what was learned before.
Provenance provenance_of(const Dataset& data, std::vector<LearnedImages> before = {});

// By their names, in their order; also where neither has any, but for known_class_names().
bool has_same_classes(const Provenance& weights, const Dataset& data);
// Throws Error, naming the file and the first class that differs, when the weights were trained on
// other classes or in another order. Passes where either has no names.
void require_same_classes(const Provenance& weights, const std::string& path, const Dataset& data);

// Throws Error naming `path` when images that are held out here are among those that its weights,
// or what they came from, have learned: of the same training images, unless these are a part of
// what was held out then; of others, by the images' hashes, whatever the data are called. Weights
// of earlier versions, without hashes, must not be of changed data of the same name.
void require_unseen(const std::vector<LearnedImages>& learned, const std::string& path,
                    const Dataset& data);

// Normalises images as the weights were trained, where they have as many channels.
void normalize_as(const Provenance& weights, Dataset& data);

// load_weights(), then both checks where the file says what its weights were trained on. Returns
// what they have learned.
std::vector<LearnedImages> load_weights_for(const Dataset& data, const std::string& path,
                                            ParameterStore& parameters);

}  // namespace ridgewalk
