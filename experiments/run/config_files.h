// The networks, spaces and profiles that a configuration names. Each is a built-in name, a file, or
// the thing itself as a mapping. A file is looked for beside the configuration, then where the
// program runs (network_beside()), and read once: what it says takes the place of its name in
// the YAML, so that a run depends on no file that may change or go after it.
#pragma once

#include "roofline/profile.h"
#include "space/search_space.h"
#include "space/yaml.h"

namespace ridgewalk {

// The value of a key. Throw Error with its line.
Architecture read_architecture(FieldReader& reader, const char* key);
SearchSpace read_space(FieldReader& reader, const char* key);
Profile read_profile(FieldReader& reader, const char* key);

// The path of a file of weights or labels, found in the same places; it takes the place of its name
// in the YAML, which another folder may hold then.
std::string read_path(FieldReader& reader, const char* key);
// The same of the folder of a data set, DIR of "idx:DIR" (load_dataset()).
std::string read_dataset(FieldReader& reader, const char* key);

}  // namespace ridgewalk
