// What a device that is not this machine is measured with.
#pragma once

#include <string>
#include <vector>

#include "space/architecture.h"

namespace ridgewalk {

// Writes into a folder, which may hold an older kit that it replaces: an ONNX file of each network,
// for `batch` images, norms folded and weights fresh; measured.csv, the form that `fit` reads, with
// the latencies left empty; and measure.sh, which fills them in by the benchmark program of ONNX
// Runtime, TensorFlow Lite or TensorRT, on the device. Throws Error when a file cannot be written,
// when the folder has a form with latencies in it, and when a network does not fit into memory.
void write_field_kit(const std::string& folder, const std::vector<Architecture>& networks,
                     int batch);

// Ten networks of the catalogue that tell devices apart: small and large, with many MACs for their
// bytes and with few.
std::vector<std::string> networks_to_measure();

}  // namespace ridgewalk
