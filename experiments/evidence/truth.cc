#include "experiments/evidence/truth.h"

#include <algorithm>
#include <functional>
#include <set>
#include <sstream>

#include "experiments/run/run_folder.h"
#include "roofline/measurements.h"
#include "space/catalog.h"
#include "space/csv.h"
#include "space/error.h"
#include "space/file.h"
#include "space/graph.h"
#include "space/lowering.h"
#include "space/number.h"

namespace ridgewalk {
namespace {

struct TruthColumns {
  size_t network = 0;
  std::vector<size_t> accuracies;
  std::optional<size_t> parameters;
};

constexpr const char* kDigits = "0123456789";

std::string without_last(const std::string& text, const char* characters) {
  return text.substr(0, text.find_last_not_of(characters) + 1);
}

// "accuracy_seed" of "accuracy_seed2".
std::string without_digits(const std::string& column) {
  return without_last(without_last(column, kDigits), "_ ");
}

// "test_accuracy" of "test_accuracy_2"; the number of "accuracy_top5" belongs to its word.
std::string without_number(const std::string& column) {
  const std::string stem = without_digits(column);
  return stem == without_last(column, kDigits) ? column : stem;
}

std::vector<size_t> columns_where(const CsvTable& table,
                                  const std::function<bool(const std::string&)>& is_one) {
  std::vector<size_t> columns;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    if (is_one(table.columns[c])) columns.push_back(c);
  }
  return columns;
}

// Those that differ from `wanted` in a number alone, else the one of that name, else those that
// begin with it.
std::vector<size_t> columns_called(const CsvTable& table, const std::string& wanted) {
  auto columns =
      columns_where(table, [&](const auto& name) { return without_number(name) == wanted; });
  if (columns.empty())
    columns = columns_where(table, [&](const auto& name) { return name == wanted; });
  if (!columns.empty()) return columns;
  return columns_where(table, [&](const auto& name) { return name.starts_with(wanted); });
}

std::vector<size_t> accuracy_columns(const CsvTable& table, const std::string& wanted,
                                     const std::string& file) {
  const auto is_accuracy = [](const std::string& name) {
    return name.find("accuracy") != std::string::npos || name.find("top1") != std::string::npos;
  };
  const std::vector<size_t> columns =
      wanted.empty() ? columns_where(table, is_accuracy) : columns_called(table, wanted);
  std::set<std::string> stems;
  for (size_t c : columns) {
    const std::string& name = table.columns[c];
    stems.insert(wanted.empty() ? without_number(name) : without_digits(name));
  }
  std::string list;
  for (const std::string& stem : stems) list += " " + stem;
  if (columns.empty()) {
    throw Error(file, table.line,
                wanted.empty() ? "no column's name has 'accuracy' or 'top1' in it; name one so"
                               : "no column's name begins with '" + wanted + "'");
  }
  if (stems.size() > 1) {
    throw Error(file, table.line, "several accuracies; choose one with --accuracy:" + list);
  }
  return columns;
}

TruthColumns truth_columns(const CsvTable& table, const std::string& accuracy,
                           const std::string& file) {
  const auto find = [&](const char* name) -> std::optional<size_t> {
    const auto found = std::find(table.columns.begin(), table.columns.end(), name);
    if (found == table.columns.end()) return std::nullopt;
    return size_t(found - table.columns.begin());
  };
  auto network = find("network");
  if (!network) network = find("architecture");
  if (!network) throw Error(file, table.line, "no column is named 'network' or 'architecture'");
  return {.network = *network,
          .accuracies = accuracy_columns(table, accuracy, file),
          .parameters = find("parameters")};
}

// Digits and spaces alone: an index for each choice.
std::optional<Decisions> listed_decisions(const std::string& name) {
  if (name.find_first_not_of("-0123456789 ") != std::string::npos) return std::nullopt;
  Decisions decisions;
  std::istringstream words(name);
  for (int decision = 0; words >> decision;) decisions.push_back(decision);
  if (!words.eof()) return std::nullopt;
  return decisions;
}

Architecture network_named(const std::string& name, const std::optional<NetworkCode>& code,
                           const SearchSpace& space, const std::string& file) {
  if (code) return decode(space, decisions_of(name, *code, space));
  if (const auto decisions = listed_decisions(name)) return decode(space, *decisions);
  return find_architecture(network_beside(file, name));
}

double share(const CsvTable::Row& row, size_t column, const CsvTable& table, double whole,
             const std::string& file) {
  const std::optional<double> value = parse_real(row.cells[column]);
  if (value && whole > 1 && *value > 0 && *value <= 1) {
    throw Error(file, row.line,
                "'" + table.columns[column] + "' is " + row.cells[column] +
                    " where others are percent; give all accuracies in percent or all as shares");
  }
  if (!value || *value < 0 || *value > whole) {
    throw Error(file, row.line,
                "'" + table.columns[column] + "' must be an accuracy from 0 to " +
                    number_text(whole) + ", not '" + row.cells[column] + "'");
  }
  return *value / whole;
}

// 100 where accuracies are in percent, else 1.
double whole_of(const CsvTable& table, const TruthColumns& columns) {
  for (const CsvTable::Row& row : table.rows) {
    for (size_t c : columns.accuracies) {
      if (parse_real(row.cells[c]).value_or(0) > 1) return 100;
    }
  }
  return 1;
}

void check_parameters(const CsvTable::Row& row, size_t column, const Architecture& network,
                      const std::string& file) {
  const std::optional<double> stated = parse_real(row.cells[column]);
  const int64_t own = parameter_count(lower(network));
  if (stated && *stated == double(own)) return;
  throw Error(file, row.line,
              "'parameters' is " + row.cells[column] + ", but the network has " +
                  std::to_string(own) +
                  "; give the space and the code of these networks, or rename the column");
}

}  // namespace

Truth read_truth(const std::string& path, const std::optional<NetworkCode>& code,
                 const std::string& accuracy, const SearchSpace& space) {
  const CsvTable table = csv_from_text(read_file(path), path);
  const TruthColumns columns = truth_columns(table, accuracy, path);
  const double whole = whole_of(table, columns);
  Truth truth{.rows = table.rows.size()};
  std::set<std::string> names;
  for (const CsvTable::Row& row : table.rows) {
    const std::string& name = row.cells[columns.network];
    NetworkRecord network;
    network.kind = NetworkKind::kRandom;
    try {
      network.architecture = network_named(name, code, space, path);
      encode(space, network.architecture);
    } catch (const Error& error) {
      if (truth.left_out.empty()) {
        truth.left_out = path + ":" + std::to_string(row.line) + ": " + error.what();
      }
      continue;
    }
    network.architecture.name = is_plain_name(name) ? name : "row-" + std::to_string(row.line);
    if (!names.insert(network.architecture.name).second) {
      throw Error(path, row.line, "has the network '" + name + "' a second time; remove one");
    }
    if (columns.parameters) check_parameters(row, *columns.parameters, network.architecture, path);
    for (size_t c : columns.accuracies) {
      network.trainings.push_back({.architecture = network.architecture.name,
                                   .data = path,
                                   .weights = "by others",
                                   .test = {.top1 = share(row, c, table, whole, path)}});
    }
    truth.networks.push_back(std::move(network));
  }
  if (truth.networks.size() < 3) {
    throw Error(path, 0,
                "has fewer than 3 networks of the space '" + space.name + "'" +
                    (truth.left_out.empty() ? "" : "; the first that is not: " + truth.left_out));
  }
  return truth;
}

}  // namespace ridgewalk
