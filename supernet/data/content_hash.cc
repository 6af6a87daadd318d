#include "supernet/data/content_hash.h"

#include <ATen/Parallel.h>

#include "space/error.h"
#include "space/file.h"
#include "space/hash.h"
#include "space/random.h"
#include "supernet/data/dataset.h"

namespace ridgewalk {
namespace {

uint64_t tensor_hash(const torch::Tensor& tensor) {
  if (!tensor.defined()) return 0;
  const torch::Tensor whole = tensor.contiguous();
  return hash_of(whole.data_ptr(), whole.nbytes());
}

uint64_t hash_of_file(const std::string& path) {
  try {
    return hash_of(read_file(path));
  } catch (const Error&) {
    return 0;
  }
}

std::vector<uint64_t> file_hashes(const Dataset& data, const ImageSet& set) {
  return data.file_hashes ? data.file_hashes->of(set.paths) : FileHashes().of(set.paths);
}

// Of each image with its label.
std::vector<uint64_t> labelled_hashes(const Dataset& data, const ImageSet& set) {
  std::vector<uint64_t> hashes = image_hashes(data, set);
  for (size_t n = 0; n < hashes.size(); ++n) {
    hashes[n] = mix(hashes[n], uint64_t(set.labels.data_ptr<int64_t>()[n]));
  }
  return hashes;
}

}  // namespace

std::vector<uint64_t> FileHashes::of(const std::vector<std::string>& paths) {
  const std::lock_guard lock(mutex_);
  std::vector<const std::string*> unknown;
  for (const std::string& path : paths) {
    if (known_.try_emplace(path).second) unknown.push_back(&path);
  }
  std::vector<uint64_t> read(unknown.size());
  at::parallel_for(0, int64_t(unknown.size()), 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) read[size_t(n)] = hash_of_file(*unknown[size_t(n)]);
  });
  for (size_t n = 0; n < unknown.size(); ++n) known_[*unknown[n]] = read[n];
  std::vector<uint64_t> hashes;
  for (const std::string& path : paths) hashes.push_back(known_[path]);
  return hashes;
}

std::vector<uint64_t> image_hashes(const Dataset& data, const ImageSet& set) {
  if (set.size() == 0) return {};
  if (!set.paths.empty()) return file_hashes(data, set);
  const torch::Tensor images = set.images.contiguous();
  const size_t bytes = images.nbytes() / size_t(set.size());
  const char* image = static_cast<const char*>(images.data_ptr());
  std::vector<uint64_t> hashes;
  for (int64_t n = 0; n < set.size(); ++n) {
    hashes.push_back(hash_of(image + size_t(n) * bytes, bytes));
  }
  return hashes;
}

uint64_t hash_of(const Dataset& data, const ImageSet& set) {
  uint64_t hash = tensor_hash(set.labels);
  if (set.paths.empty()) {
    return set.images.defined() ? mix(tensor_hash(set.images), hash) : hash;
  }
  for (const uint64_t file : file_hashes(data, set)) hash = mix(hash, file);
  return hash;
}

uint64_t hash_of(const Dataset& data) {
  uint64_t hash = hash_of(data, data.train);
  for (const ImageSet* set : {&data.search_validation, &data.test}) {
    hash = mix(hash, hash_of(data, *set));
  }
  return hash;
}

uint64_t training_hash(const Dataset& data) {
  std::vector<uint64_t> shuffled = labelled_hashes(data, data.search_validation);
  for (const uint64_t hash : labelled_hashes(data, data.train)) shuffled.push_back(hash);
  std::vector<uint64_t> hashes(shuffled.size());
  const std::vector<int64_t> order = permutation(int64_t(shuffled.size()), data.split_seed);
  for (size_t n = 0; n < order.size(); ++n) hashes[size_t(order[n])] = shuffled[n];
  return hash_of(hashes.data(), hashes.size() * sizeof(uint64_t));
}

}  // namespace ridgewalk
