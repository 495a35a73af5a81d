// SPDX-License-Identifier: MIT
// Elements as they lie in memory (f32, f64, f16, bf16) and as the kernels compute with them (f32 or f64).
#pragma once

#include <algorithm>    // std::min
#include <cstdint>      // int64_t
#include <span>         // std::span
#include <type_traits>  // std::is_same_v

#include "half.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

template <class S>
constexpr bool is_half = std::is_same_v<S, f16> || std::is_same_v<S, bf16>;

template <class T, class S>
T load(S element) {
  if constexpr (is_half<S>) {
    return widen(element);
  } else {
    return static_cast<T>(element);
  }
}

/// Rounded to nearest, from f64 through f32 where S is a half: the f32 is within 2^-24 of what it stands for.
template <class T, class S>
void store(T value, S& element) {
  if constexpr (is_half<S>) {
    narrow(static_cast<float>(value), element);
  } else {
    element = static_cast<S>(value);
  }
}

/// Calls body.template operator()<S>() for the floating type of that name.
template <class Body>
auto with_storage(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f64:
      return body.template operator()<double>();
    case DType::f16:
      return body.template operator()<f16>();
    case DType::bf16:
      return body.template operator()<bf16>();
    default:
      return body.template operator()<float>();
  }
}

/// Elements [begin, begin + n) as Vector::label reads them.
inline void load_labels(const Vector& labels, int64_t begin, int64_t n, int64_t* to) {
  const auto copy = [&]<class S>(S) {
    const S* from = static_cast<const S*>(labels.data) + begin;
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<int64_t>(from[i]);
  };
  switch (labels.dtype) {
    case DType::i8:
      return copy(int8_t());
    case DType::u8:
      return copy(uint8_t());
    case DType::i16:
      return copy(int16_t());
    case DType::u16:
      return copy(uint16_t());
    case DType::i32:
      return copy(int32_t());
    case DType::u32:
      return copy(uint32_t());
    case DType::i64:
      return copy(int64_t());
    default:
      for (int64_t i = 0; i < n; ++i) to[i] = labels.label(begin + i);
  }
}

/// body(begin, labels) over all of them, a block at a time.
template <class Body>
void for_label_blocks(const Vector& labels, const Body& body) {
  constexpr int64_t kBlock = 512;
  int64_t block[kBlock];
  for (int64_t begin = 0; begin < labels.size; begin += kBlock) {
    const int64_t n = std::min(kBlock, labels.size - begin);
    const int64_t* from = block;
    if (labels.dtype == DType::i64) {
      from = static_cast<const int64_t*>(labels.data) + begin;
    } else {
      load_labels(labels, begin, n, block);
    }
    body(begin, std::span<const int64_t>(from, static_cast<size_t>(n)));
  }
}

}  // namespace labelsmooth
