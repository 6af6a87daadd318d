#include "supernet/data/class_names.h"

namespace ridgewalk {

std::vector<std::string> known_class_names(const std::string& spec) {
  if (spec == "fashion-mnist") {
    return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  }
  if (spec.starts_with("cifar10:")) {
    return {"airplane", "automobile", "bird",  "cat",  "deer",
            "dog",      "frog",       "horse", "ship", "truck"};
  }
  return {};
}

}  // namespace ridgewalk
