#include "space/names.h"

#include "space/error.h"
#include "space/suggestion.h"

namespace ridgewalk {

void fail_unknown_name(std::string_view what, std::string_view asked,
                       const std::vector<std::string>& known) {
  throw Error("no " + std::string(what) + " is named '" + std::string(asked) + "'; " +
              suggestion(asked, known));
}

}  // namespace ridgewalk
