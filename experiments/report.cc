#include "experiments/report.h"

#include <stdexcept>

#include "space/embedded.h"

namespace ridgewalk {

std::span<const EmbeddedFile> embedded_report_parts();

namespace {

void fill(std::string& page, std::string_view placeholder, std::string_view text) {
  const size_t at = page.find(placeholder);
  if (at == std::string::npos) {
    throw std::logic_error("report.html has no " + std::string(placeholder));
  }
  page.replace(at, placeholder.size(), text);
}

// JSON inside a script element: neither "</script" nor "<!--" in a text may act on the page.
// Outside texts JSON has no "<". Bytes that are not UTF-8 become U+FFFD.
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
  const auto parts = embedded_report_parts();
  std::string page(find(parts, "report").value());
  // The data goes in first, behind the library: what it says cannot be taken for a placeholder.
  fill(page, "/*REPORT_DATA*/", script_safe(data));
  for (const EmbeddedFile& part : parts) {
    if (part.name != "report") fill(page, "/*CHART_JS*/", part.text);
  }
  return page;
}

}  // namespace ridgewalk
