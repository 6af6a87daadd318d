// The page that shows a run: self-contained, it opens from disk without a network connection.
#pragma once

#include <string>

#include "space/json.h"

namespace ridgewalk {

// The page of experiments/report/ with `data` (network_report.h, sweep.h) and Chart.js built in.
// Sections without data are left out.
std::string report_html(const nlohmann::ordered_json& data);

// Date and time of day, as reports give it.
std::string now_text();

}  // namespace ridgewalk
