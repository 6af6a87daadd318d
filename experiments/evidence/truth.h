// Networks that others have trained: a table that a ranking is held against.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/evidence/network_code.h"
#include "experiments/run/network_record.h"

namespace ridgewalk {

struct Truth {
  std::vector<NetworkRecord> networks = {};  // with their trainings' test accuracy alone
  size_t rows = 0;                           // of the table
  // The first row whose network the space does not have, and why.
  std::string left_out = {};
};

// A table (space/csv.h) of networks, named in a column `network` or `architecture`: by the code, if
// one is given, else by a catalogue name, a YAML file beside the table, or the decisions of the
// space. The accuracies of a network's trainings stand in columns whose names have `accuracy` or
// `top1` in them and differ only in a number of its own ("test_accuracy_1", not "accuracy_top5").
// Where `accuracy` is given, it is what they have before that number, else a name, else what names
// begin with that differ in their last digits alone; in percent if one of them is above 1. Networks
// that the space does not have are left out. Throws Error with file and line, also where a column
// `parameters` says another number than the network has.
Truth read_truth(const std::string& path, const std::optional<NetworkCode>& code,
                 const std::string& accuracy, const SearchSpace& space);

}  // namespace ridgewalk
