// What tells two texts apart, for messages.
#pragma once

#include <string>

namespace ridgewalk {

// "the run has 'threads: 1' where this has 'threads: 2'", of the text that `owner` has and of the
// one that it should have: the first line that differs, of long ones from the first word that does.
std::string first_difference(const std::string& owner, const std::string& has,
                             const std::string& should);

}  // namespace ridgewalk
