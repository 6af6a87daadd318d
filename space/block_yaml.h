// A block as one line of YAML, in and out. Not installed: knows nodes.
#pragma once

#include "space/block.h"
#include "space/yaml.h"
#include "space/yaml_writer.h"

namespace ridgewalk {

// A flow mapping. A block's activation is written where it differs from the network's.
void write_block(YAML::Emitter& out, const Block& block, Activation network_activation);

// Throws Error with file and line. A block without an activation has the network's.
Block read_block(const YamlSource& source, Activation network_activation);

void fields(auto& v, Of<MobileMqa> auto& attention) {
  v.required("heads", attention.heads);
  v.required("key_dim", attention.key_dim);
  v.required("value_dim", attention.value_dim);
  v.required("kv_stride", attention.kv_stride);
  v.omittable("kv_heads", attention.kv_heads, 1);
}

}  // namespace ridgewalk
