// Hashes of what images are, not of what they are called: other pictures under known names are
// other data.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace ridgewalk {

struct Dataset;
struct ImageSet;

// Hashes of files' bytes, each file read once however often it is asked for, from any thread.
class FileHashes {
 public:
  // Of each path, read on all of LibTorch's threads. A file that cannot be read has the hash 0.
  std::vector<uint64_t> of(const std::vector<std::string>& paths);

 private:
  std::mutex mutex_;
  std::map<std::string, uint64_t> known_;
};

// Of each image without its label: pixels, or the bytes of a file; 0 for one that cannot be read.
std::vector<uint64_t> image_hashes(const Dataset& data, const ImageSet& set);
// Of a set's labels and images in their order: pixels, or the bytes of files.
uint64_t hash_of(const Dataset& data, const ImageSet& set);
// Of all sets.
uint64_t hash_of(const Dataset& data);
// Of the training images in the order they had before some were held out: the same for every split
// of the same data.
uint64_t training_hash(const Dataset& data);

}  // namespace ridgewalk
