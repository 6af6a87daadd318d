#include "space/hash.h"

#include <algorithm>
#include <cstring>

#include "space/random.h"

namespace ridgewalk {

uint64_t hash_of(const void* data, size_t size) {
  const char* bytes = static_cast<const char*>(data);
  uint64_t hash = size;
  for (size_t at = 0; at < size; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, std::min<size_t>(8, size - at));
    hash = mix(hash, word);
  }
  return hash;
}

}  // namespace ridgewalk
