// Networks and latencies for tests of fits.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "roofline/fit.h"
#include "roofline/measurements.h"
#include "space/catalog.h"
#include "space/decisions.h"
#include "space/file.h"
#include "space/lowering.h"

namespace ridgewalk {

inline NetworkWork work_of(const Architecture& architecture) {
  return network_work(architecture.name, lower(architecture), {});
}

// The measurements of the MobileNetV4 paper's table 6 for the networks of the catalogue.
inline std::vector<Measured> table6(const std::string& column) {
  const std::string file = std::string("experiments/measurements/mobilenetv4-table6.csv");
  std::vector<Measured> networks;
  for (const Measurement& row : read_measurements(read_file(file), file, column).rows) {
    networks.push_back({work_of(find_architecture(row.network)), row.latency, row.network});
  }
  return networks;
}

inline std::vector<Architecture> members(int count, uint64_t seed) {
  const SearchSpace space = load_search_space("mobile");
  std::mt19937_64 random(seed);
  std::vector<Architecture> architectures;
  for (int i = 0; i < count; ++i) architectures.push_back(decode(space, sample(space, random)));
  return architectures;
}

// Every row `times` times, with about 1 % of noise.
inline std::vector<Measured> repeated(const std::vector<Measured>& networks, int times) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> noise(0.99, 1.01);
  std::vector<Measured> rows;
  for (int i = 0; i < times; ++i) {
    for (Measured row : networks) {
      row.latency = {row.latency.value * noise(random)};
      rows.push_back(row);
    }
  }
  return rows;
}

}  // namespace ridgewalk
