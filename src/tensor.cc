// SPDX-License-Identifier: MIT
#include "labelsmooth/tensor.h"

#include <limits>  // std::numeric_limits

#include "half.h"

namespace labelsmooth {

const char* name(DType dtype) {
  constexpr const char* kNames[] = {"f32", "f64", "f16", "bf16", "i8",  "u8",
                                    "i16", "u16", "i32", "u32",  "i64", "u64"};
  return kNames[static_cast<int>(dtype)];
}

size_t size_bytes(DType dtype) {
  constexpr size_t kSizes[] = {4, 8, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8};
  return kSizes[static_cast<int>(dtype)];
}

int64_t Vector::label(int64_t i) const {
  switch (dtype) {
    case DType::i8:
      return static_cast<const int8_t*>(data)[i];
    case DType::u8:
      return static_cast<const uint8_t*>(data)[i];
    case DType::i16:
      return static_cast<const int16_t*>(data)[i];
    case DType::u16:
      return static_cast<const uint16_t*>(data)[i];
    case DType::i32:
      return static_cast<const int32_t*>(data)[i];
    case DType::u32:
      return static_cast<const uint32_t*>(data)[i];
    case DType::u64: {
      constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
      const uint64_t value = static_cast<const uint64_t*>(data)[i];
      return static_cast<int64_t>(value < kMax ? value : kMax);
    }
    default:
      return static_cast<const int64_t*>(data)[i];
  }
}

double Vector::real(int64_t i) const {
  switch (dtype) {
    case DType::f64:
      return static_cast<const double*>(data)[i];
    case DType::f16:
      return widen(static_cast<const f16*>(data)[i]);
    case DType::bf16:
      return widen(static_cast<const bf16*>(data)[i]);
    default:
      return static_cast<const float*>(data)[i];
  }
}

}  // namespace labelsmooth
