// The binary versions of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ridgewalk {

// Images of 32 x 32 RGB pixels.
struct CifarSet {
  std::vector<uint8_t> pixels;  // [N, 32, 32, 3]
  std::vector<uint8_t> labels;  // [N], the fine ones of CIFAR-100
};

struct Cifar {
  CifarSet train, test;
  int classes = 0;
  std::vector<std::string> class_names = {};  // empty where the archive's list of them is missing
};

// `folder` holds the files, or the folder cifar-10-batches-bin (cifar-100-binary) that the archive
// unpacks to. Throws Error naming the file when one is missing or is of another version of CIFAR,
// is not a whole number of records, or has a label outside the classes.
Cifar read_cifar10(const std::string& folder);
Cifar read_cifar100(const std::string& folder);

}  // namespace ridgewalk
