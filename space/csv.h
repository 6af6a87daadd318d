// Tables as CSV.
#pragma once

#include <string>
#include <vector>

namespace ridgewalk {

struct CsvTable {
  struct Row {
    std::vector<std::string> cells;  // without the spaces around them; as many as there are columns
    int line = 0;                    // in the file
  };
  std::vector<std::string> columns;  // as the first line names them; those with a name differ
  int line = 0;                      // of the columns
  std::vector<Row> rows;
};

// A table whose first line names its columns. Lines that start with # are comments; a byte order
// mark and CRLF are accepted. Throws Error with file and line.
CsvTable csv_from_text(const std::string& text, const std::string& file);

}  // namespace ridgewalk
