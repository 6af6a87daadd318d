// Short names of the networks of a space in a table of somebody else's: "10210022".
#pragma once

#include <map>
#include <string>
#include <vector>

#include "space/decisions.h"
#include "space/search_space.h"

namespace ridgewalk {

// What the symbols of a name decide, place by place.
struct NetworkCode {
  // Of a choice, by name, an option's text; of a block, an option of each of its choices, or no
  // option at all where the block is left out.
  struct Meaning {
    bool is_absent = false;
    std::string option;                          // where the place is a choice
    std::map<std::string, std::string> options;  // "kernel2": "5"; where it is a block
  };
  std::string separator;            // between symbols; empty: each character is one
  std::vector<std::string> places;  // "stages.0.1" (a block) or "stages.1.width" (a choice)
  // By symbol; a symbol that is not here is itself the option of its choice.
  std::map<std::string, Meaning> symbols;
};

// Throws Error with file and line, also for what no network of the space has.
NetworkCode load_network_code(const std::string& path, const SearchSpace& space);

// The decisions that `name` stands for: blocks after a stage's first that are there close ranks,
// and choices that no place decides have their only option. Throws Error without a file when the
// name is not of this code or the network is not in the space.
Decisions decisions_of(const std::string& name, const NetworkCode& code, const SearchSpace& space);

}  // namespace ridgewalk
