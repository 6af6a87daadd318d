// Tables of measured networks, as a fit takes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "roofline/fit.h"
#include "roofline/measurements.h"
#include "roofline/profile.h"
#include "space/search_space.h"

namespace ridgewalk {

// How the rows of a table become networks, and their networks work.
struct TableReading {
  std::string column;                     // of the latencies; the only one if empty
  WorkCounting counting;                  // but for the batch, which rows have
  std::optional<SearchSpace> space = {};  // of which the networks are decisions
};

struct FitTable {
  std::vector<Measured> rows;  // one of a network for each number of classes and batch
  int batch = 1;               // of all rows; 1 where they differ
  BatchRange batches = {};
  int not_measured = 0;
  int repeats = 0;  // rows of a network, with as many classes and images, that an earlier row has
};

// Each network once, with the median of its latencies. Throws Error with file and line.
FitTable read_fit_table(const std::string& file, const TableReading& reading);

// How many networks, whatever their numbers of classes.
size_t count_networks(const std::vector<Measured>& rows);

// The networks of a test table that the fit has not seen. Throws Error where fewer than 2 remain.
std::vector<Measured> unseen(const std::vector<Measured>& test, const std::vector<Measured>& fitted,
                             const std::string& file);

// Networks that may be measured next, none of which the rows have: of the catalogue at their own
// resolution, half (from 96 pixels on) and double, or 200 random members of the space.
std::vector<NetworkWork> unmeasured_networks(const FitTable& table, const TableReading& reading);

}  // namespace ridgewalk
