// Tables of measured latencies (CSV). The input's first line is the column that is asked for.
#include "roofline/measurements.h"
#include "tests/fuzz/fuzz.h"

using namespace ridgewalk;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text = text_of(data, size);
  const std::string column = take_until('\n', text);
  refuse_or_accept([&] {
    for (const Measurement& row : read_measurements(text, "file", column).rows) {
      require(row.latency.value > 0 && row.line > 0, "a measurement has a latency and a line");
    }
  });
  return 0;
}
