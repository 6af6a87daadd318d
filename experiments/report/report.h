// The page that shows a run: self-contained, opens from disk without a network.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace ridgewalk {

// The page of experiments/report/ with `data` (comparison.h, sweep.h) and Chart.js built in. It
// leaves out the sections that `data` has nothing for.
std::string report_html(const nlohmann::ordered_json& data);

// Date and time of day, as reports give it.
std::string now_text();

}  // namespace ridgewalk
