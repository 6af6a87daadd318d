// How a number is stored, and in which a network computes.
#pragma once

#include "space/names.h"

namespace ridgewalk {

enum class DataType { kInt8, kBf16, kFp16, kFp32 };

template <>
inline constexpr auto kNames<DataType> =
    name_table<DataType>("data type", {{DataType::kInt8, "int8"},
                                       {DataType::kBf16, "bf16"},
                                       {DataType::kFp16, "fp16"},
                                       {DataType::kFp32, "fp32"},
                                       {DataType::kBf16, "bfloat16"},
                                       {DataType::kFp16, "float16"},
                                       {DataType::kFp32, "float32"}});

constexpr int bytes_per_element(DataType type) {
  switch (type) {
    case DataType::kInt8:
      return 1;
    case DataType::kBf16:
    case DataType::kFp16:
      return 2;
    case DataType::kFp32:
      return 4;
  }
  return 0;
}

}  // namespace ridgewalk
