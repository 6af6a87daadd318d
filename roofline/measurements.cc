#include "roofline/measurements.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <type_traits>

#include "roofline/latency_model.h"
#include "space/csv.h"
#include "space/error.h"
#include "space/number.h"

namespace ridgewalk {
namespace {

constexpr std::pair<std::string_view, double> kUnits[] = {{"_ms", 1e-3}, {"_us", 1e-6}, {"_s", 1}};

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += " " + name;
  return list;
}

void require_network_column(const CsvTable& table, const std::string& file) {
  const std::vector<std::string>& names = table.columns;
  if (std::find(names.begin(), names.end(), "network") != names.end()) return;
  throw Error(file, table.line, "no column is named 'network'; there are:" + listed(names));
}

// Seconds in one of the column's units, 0 for a column that is not a latency.
double unit_of(const std::string& column) {
  for (const auto& [suffix, seconds] : kUnits) {
    if (column.size() > suffix.size() && column.ends_with(suffix)) return seconds;
  }
  return 0;
}

std::string latency_column(const std::vector<std::string>& header, const std::string& wanted,
                           const std::string& file, int line) {
  std::vector<std::string> latencies;
  std::copy_if(header.begin(), header.end(), std::back_inserter(latencies),
               [](const std::string& name) { return unit_of(name) > 0; });
  if (latencies.empty()) {
    throw Error(file, line,
                "no column holds a latency; its name must end in _s, _ms or _us; there are:" +
                    listed(header));
  }
  if (wanted.empty()) {
    if (latencies.size() == 1) return latencies[0];
    throw Error(file, line, "several latencies; choose one with --latency:" + listed(latencies));
  }
  if (std::find(latencies.begin(), latencies.end(), wanted) != latencies.end()) return wanted;
  throw Error(file, line, "no latency column '" + wanted + "'; there are:" + listed(latencies));
}

// A column that changes what a latency means, such as batch, must not be passed over.
void refuse_unknown(const std::vector<std::string>& header, const std::string& file, int line) {
  // The last two are of the tables that `sweep --measure` leaves.
  const std::set<std::string> known = {"",        "network", "resolution", "channels",
                                       "classes", "batch",   "macs",       "lower_bound"};
  for (const std::string& name : header) {
    if (known.contains(name) || name[0] == '#' || unit_of(name) > 0) continue;
    throw Error(file, line,
                "unknown column '" + name +
                    "'; known are network, resolution, channels, classes, " +
                    "batch and latencies; name it '#" + name + "' if these do not depend on it");
  }
}

template <class T>
T number(const std::string& cell, const std::string& column, const std::string& file, int line) {
  constexpr bool kIsWhole = std::is_integral_v<T>;
  const auto fail = [&](const std::string& why) {
    throw Error(file, line, "'" + column + "' must be a number above 0, not '" + cell + "'" + why);
  };
  std::optional<double> value = parse_real(cell);
  if (kIsWhole && !parse_whole(cell)) value.reset();
  if (!value) fail(": " + number_complaint(cell, kIsWhole));
  if (!(*value > 0 && *value <= double(std::numeric_limits<T>::max()))) fail("");
  return static_cast<T>(*value);
}

bool is_missing(std::string cell) {
  std::transform(cell.begin(), cell.end(), cell.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return cell.empty() || cell == "-" || cell == "failed";
}

}  // namespace

std::string network_beside(const std::string& table, const std::string& network) {
  const std::filesystem::path path(network);
  const bool is_path =
      path.has_parent_path() || path.extension() == ".yaml" || path.extension() == ".yml";
  if (!is_path || path.is_absolute()) return network;
  const std::filesystem::path beside = std::filesystem::path(table).parent_path() / path;
  std::error_code unreadable;
  return std::filesystem::exists(beside, unreadable) ? beside.string() : network;
}

Measurements read_measurements(const std::string& text, const std::string& file,
                               const std::string& column) {
  const CsvTable table = csv_from_text(text, file);
  require_network_column(table, file);
  const std::vector<std::string>& header = table.columns;
  const std::string latency = latency_column(header, column, file, table.line);
  refuse_unknown(header, file, table.line);
  Measurements result;
  for (const auto& [cells, line] : table.rows) {
    Measurement row{.network = "", .latency = {}, .line = line};
    bool is_measured = true;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string& cell = cells[c];
      if (header[c] == "network") row.network = cell;
      if (header[c] == latency) {
        is_measured = !is_missing(cell);
        if (is_measured) {
          row.latency = {number<double>(cell, latency, file, line) * unit_of(latency)};
          if (row.latency.value < 1e-9 || row.latency.value > 1e6) {
            throw Error(file, line,
                        "'" + latency + "' is " + cell +
                            ", not between a nanosecond and a million seconds");
          }
        }
      }
      if (cell.empty()) continue;
      if (header[c] == "resolution") row.resolution = number<int>(cell, header[c], file, line);
      if (header[c] == "channels") row.channels = number<int>(cell, header[c], file, line);
      if (header[c] == "batch") row.batch = number<int>(cell, header[c], file, line);
      if (row.batch.value_or(1) > kLargestBatch) {
        throw Error(file, line, "'batch' is " + cell + ", above " + std::to_string(kLargestBatch));
      }
      if (header[c] == "classes") row.classes = number<int>(cell, header[c], file, line);
    }
    if (row.network.empty()) throw Error(file, line, "'network' is empty");
    if (is_measured) {
      result.rows.push_back(std::move(row));
    } else {
      ++result.not_measured;
    }
  }
  return result;
}

}  // namespace ridgewalk
