#include "space/published.h"

#include "space/embedded.h"
#include "space/yaml.h"

namespace ridgewalk {

std::optional<PublishedAccuracy> published_accuracy(const std::string& catalog_name) {
  const EmbeddedFile& file = embedded_published()[0];
  FieldReader networks(parse_yaml(std::string(file.text), "space/published.yaml"));
  if (!networks.has(catalog_name)) return std::nullopt;
  FieldReader reader(networks.child(catalog_name));
  const PublishedAccuracy accuracy{.top1 = reader.required<double>("top1"),
                                   .resolution = reader.required<int>("resolution"),
                                   .source = reader.required<std::string>("source")};
  reader.finish();
  return accuracy;
}

}  // namespace ridgewalk
