// The networks, spaces and profiles that a configuration names. Each is a built-in name, a file, or
// the thing itself as a mapping. A file is read once: what it says takes the place of its name in
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

}  // namespace ridgewalk
