// The safetensors format: a length, a JSON header, raw tensors (huggingface/safetensors, README).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

namespace ridgewalk {

struct TensorFile {
  std::map<std::string, std::string> metadata;
  std::vector<std::pair<std::string, torch::Tensor>> tensors;  // in the order of the file

  // Throws std::out_of_range when absent.
  const torch::Tensor& at(const std::string& name) const;
};

// Writes beside and renames: a reader sees the old file or the whole new one, even after a power
// cut. Tensors are of the types that read_safetensors() reads. Throws Error when the folder is not
// writable.
void write_safetensors(const std::string& path, const TensorFile& file);

// Maps the file into memory: tensors are views of it, private to this process, and keep it mapped.
// Types are F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL; U64, U32 and U16, which LibTorch 1.13
// lacks, are read as signed integers of their size. Throws Error naming the file, and the tensor
// where it is one, when the header is damaged, a type is another, a range does not fit its shape,
// overlaps another or leaves a gap, or a name comes twice.
TensorFile read_safetensors(const std::string& path);

}  // namespace ridgewalk
