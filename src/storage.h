// SPDX-License-Identifier: MIT
// Elements as they lie in memory (f32, f64, f16, bf16) and as the kernels compute with them (f32 or f64).
#pragma once

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

}  // namespace labelsmooth
