// Tables of measured latencies (CSV).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roofline/units.h"

namespace ridgewalk {

struct Measurement {
  std::string network;  // a catalogue name, a file, or decisions of a space: "0 2 1"
  std::optional<int> resolution = {}, channels = {}, classes = {};
  Seconds latency = {};
  int line = 0;  // in the file
};

struct Measurements {
  std::vector<Measurement> rows;
  int not_measured = 0;  // rows whose cell of this column is empty, "-" or "failed"
};

// The rows of one column of a table whose first line names its columns: `network`, the latency's,
// whose name ends in _s, _ms or _us, and if wanted resolution, channels and classes. Without a
// `column` the table's only latency column. Lines that start with # are comments. Throws Error with
// file and line.
Measurements read_measurements(const std::string& text, const std::string& file,
                               const std::string& column);

}  // namespace ridgewalk
