#include "space/csv.h"

#include <algorithm>
#include <set>
#include <sstream>

#include <boost/tokenizer.hpp>

#include "space/error.h"

namespace ridgewalk {
namespace {

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos
             ? ""
             : text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

std::vector<std::string> cells_of(const std::string& line, const std::string& file, int number) {
  std::vector<std::string> cells;
  if (std::count(line.begin(), line.end(), '"') % 2 != 0) {
    throw Error(file, number, "a quote is not closed; write \"a,b\" for a cell with a comma");
  }
  try {
    for (const std::string& cell : boost::tokenizer<boost::escaped_list_separator<char>>(line)) {
      cells.push_back(trimmed(cell));
    }
  } catch (const boost::escaped_list_error&) {
    throw Error(file, number,
                "a quote or backslash is not closed; write \"a,b\" for a cell with a comma");
  }
  return cells;
}

}  // namespace

CsvTable csv_from_text(const std::string& text, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // spreadsheets begin UTF-8 with it
  std::istringstream stream(text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size())
                                                             : text);
  CsvTable table;
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (trimmed(line).empty() || line[0] == '#') continue;
    std::vector<std::string> cells = cells_of(line, file, number);
    if (table.line == 0) {
      std::set<std::string> seen;
      for (const std::string& name : cells) {
        if (!name.empty() && !seen.insert(name).second) {
          throw Error(file, number, "two columns are named '" + name + "'; rename or remove one");
        }
      }
      table.columns = std::move(cells);
      table.line = number;
      continue;
    }
    if (cells.size() != table.columns.size()) {
      throw Error(file, number,
                  std::to_string(cells.size()) + " cells under " +
                      std::to_string(table.columns.size()) + " columns");
    }
    table.rows.push_back({std::move(cells), number});
  }
  if (table.line == 0) throw Error(file, 1, "empty; the first line names the columns");
  return table;
}

}  // namespace ridgewalk
