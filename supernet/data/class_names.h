// The names of classes that the files of a data set do not give.
#pragma once

#include <string>
#include <vector>

namespace ridgewalk {

// By label, of `fashion-mnist` and `cifar10:DIR`; empty for other data.
std::vector<std::string> known_class_names(const std::string& spec);

}  // namespace ridgewalk
