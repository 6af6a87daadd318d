// The page that shows a run: self-contained, opens from disk without a network.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace ridgewalk {

// experiments/report.html with `data` (comparison.h) and Chart.js built in. The page leaves out the
// sections that `data` has nothing for.
std::string report_html(const nlohmann::ordered_json& data);

}  // namespace ridgewalk
