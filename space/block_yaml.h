// A block as one line of YAML, in and out. Not installed: speaks of nodes.
#pragma once

#include "space/block.h"
#include "space/yaml.h"

namespace ridgewalk {

// A flow mapping. A block's activation is written where it differs from the network's.
void write_block(YAML::Emitter& out, const Block& block, Activation network_activation);

// Throws Error with file and line. A block without an activation has the network's.
Block read_block(const YamlSource& source, Activation network_activation);

// Reads the key `activation` where it is there. Throws Error listing the names there are.
void read_activation(FieldReader& reader, Activation& activation);

}  // namespace ridgewalk
