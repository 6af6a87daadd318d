// Reads the keys of an augmentation among others. Not installed: it exposes YAML nodes.
#pragma once

#include "space/yaml.h"
#include "supernet/data/augmentation.h"

namespace ridgewalk {

// random_resized_crop: {scale: [0.08, 1], ratio: [0.75, 1.333]}, rand_augment: {probability,
// layers, magnitude, exclude}, shift, flip, mixup, cutmix, mix_probability, cutmix_share; absent
// keys change nothing. Throws Error with file and line.
void read_augmentation(FieldReader& reader, Augmentation& augmentation);

}  // namespace ridgewalk
