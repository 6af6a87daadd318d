#include "experiments/report/report.h"

#include <ctime>
#include <stdexcept>

#include <fmt/chrono.h>

#include "space/embedded.h"

namespace ridgewalk {

std::span<const EmbeddedFile> embedded_report_parts();
std::span<const EmbeddedFile> embedded_chart_js();

namespace {

void fill(std::string& page, std::string_view placeholder, std::string_view text) {
  const size_t at = page.find(placeholder);
  if (at == std::string::npos) {
    throw std::logic_error("page.html has no " + std::string(placeholder));
  }
  page.replace(at, placeholder.size(), text);
}

// JSON inside a script element: neither "</script" nor "<!--" in a text may act on the page.
// JSON has no "<" outside texts. Bytes that are not UTF-8 become U+FFFD.
std::string script_safe(const nlohmann::ordered_json& data) {
  using Handler = nlohmann::ordered_json::error_handler_t;
  std::string safe;
  for (char c : data.dump(-1, ' ', false, Handler::replace)) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string report_html(const nlohmann::ordered_json& data) {
  const auto part = [](std::string_view name) {
    return find(embedded_report_parts(), name).value();
  };
  std::string scripts;
  for (const char* name :
       {"base", "ridge", "sweep", "front", "operations", "measured", "ranking", "comparison",
        "homes", "pareto_sets", "quantization", "tables", "search", "main"}) {
    scripts.append(part(name)).append("\n");
  }
  std::string page(part("page"));
  // From the end of the page to its start, so that no text of the data is taken for a placeholder.
  fill(page, "/*SCRIPTS*/", scripts);
  fill(page, "/*REPORT_DATA*/", script_safe(data));
  fill(page, "/*CHART_JS*/", embedded_chart_js()[0].text);
  fill(page, "/*STYLE*/", part("style"));
  return page;
}

std::string now_text() {
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(std::time(nullptr)));
}

}  // namespace ridgewalk
