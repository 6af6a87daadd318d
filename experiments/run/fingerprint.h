// All that the results of a run depend on, as text: a run is resumed only where none of it has
// changed. Each input is a line `key: value`, so that the first line that differs says what does.
// Texts that change leave the runs of earlier versions without a way to be resumed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "search/reward.h"
#include "supernet/network/parameters.h"
#include "supernet/supernet.h"
#include "supernet/training/distillation.h"

namespace ridgewalk {

struct RunInputs {
  std::vector<std::string> texts;                       // configurations, spaces, architectures
  std::string settings = {};                            // of the command line: lines `key: value`
  const ParameterStore* weights = nullptr;              // that networks are judged with
  const Reward* reward = nullptr;                       // that networks are held against
  std::vector<const Distillation*> distillations = {};  // whose soft labels are learned
  const Dataset& data;
  const Compute& compute;
  std::string more = {};  // more lines
};

// The reward counts by what prices its targets and by latencies, whatever the profile or the
// network that they came from is now; soft labels by their file's hash, a teacher by its values;
// the computation by device, precision and the threads of this process, which sum in another order
// with others; the data, after kDataLine, by their name and contents, then mean and deviation.
std::string fingerprint(const RunInputs& inputs);

// The number of threads of the run in a folder, which its results depend on; nothing where there is
// no run.
std::optional<int> threads_of_run(const std::string& folder);
// The precision of a fingerprint; nothing where it is empty or of another device.
std::optional<DataType> precision_of(const std::string& fingerprint, torch::Device device);
// That of the run in a folder.
std::optional<DataType> precision_of_run(const std::string& folder, torch::Device device);

// A line with the contents of the weights that a supernet starts from; empty where it starts anew.
std::string start_fingerprint(const SupernetOptions& options);

// Of soft labels and the data they are for; empty where there are none.
std::string fingerprint(const Distillation& distillation, const Dataset& data);

}  // namespace ridgewalk
