// Hashes that are the same on every machine: fingerprints of what results depend on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ridgewalk {

// Of bytes: a chain of splitmix64 steps over words of eight. It tells apart what changed by
// accident; it is not cryptographic.
uint64_t hash_of(const void* data, size_t size);
inline uint64_t hash_of(std::string_view bytes) { return hash_of(bytes.data(), bytes.size()); }

}  // namespace ridgewalk
