// Tables of measured latencies (CSV).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roofline/units.h"

namespace ridgewalk {

struct Measurement {
  std::string network;  // a catalogue name, a file, or decisions of a space: "0 2 1"
  std::optional<int> resolution = {}, channels = {}, classes = {}, batch = {};
  Seconds latency = {};
  int line = 0;  // in the file
};

struct Measurements {
  std::vector<Measurement> rows;
  int not_measured = 0;  // rows whose cell of this column is empty, "-" or "failed"
};

// The rows of one column of a table whose first line names its columns: `network`, a latency, whose
// name ends in _s, _ms or _us, and optionally resolution, channels, classes and batch. Without a
// `column` the table's only latency column. Lines that start with # are comments, and so are
// columns; a byte order mark and CRLF are accepted. Throws Error with file and line, also for any
// other column.
Measurements read_measurements(const std::string& text, const std::string& file,
                               const std::string& column);

// `network` of a row as find_architecture() takes it: a relative path (with a folder, or ending in
// .yaml or .yml) is looked for beside the table first, then in the working directory.
std::string network_beside(const std::string& table, const std::string& network);

}  // namespace ridgewalk
