// SPDX-License-Identifier: MIT
// Counter-based random numbers (Philox4x32-10): a draw is a pure function of (seed, stream, epoch, index),
// so any thread can make it, in any order.
#pragma once

#include <Random123/philox.h>

#include <cmath>    // std::log, std::sqrt, std::cos
#include <cstdint>  // uint32_t, uint64_t
#include <numbers>  // std::numbers::pi
#include <utility>  // std::swap
#include <vector>   // std::vector

namespace labelsmooth {

/// What a draw is for. Draws of different streams are independent; the order is part of every result.
enum class Stream : uint32_t {
  split,
  halves,
  noise,
  weights,
  order,
  sampled,
  null_level,
  verify,
  folds,
  bootstrap,
  label_rows,
  label_cells,
  label_classes
};

struct Draw {
  uint32_t bits[4];
  /// In [0, 1), of 32 bits; `i` in 0..3 are independent.
  double uniform(int i = 0) const { return bits[i] * 0x1p-32; }
  /// In [0, n), by multiplication: a bias below n / 2^32.
  uint32_t below(uint32_t n, int i = 0) const { return static_cast<uint32_t>(uint64_t{bits[i]} * n >> 32); }
  /// Standard normal (Box and Muller), from bits 0 and 1.
  double normal() const {
    const double radius = std::sqrt(-2 * std::log(1 - uniform(0)));  // 1 - u is never 0
    return radius * std::cos(2 * std::numbers::pi * uniform(1));
  }
};

inline Draw draw(uint64_t seed, Stream stream, uint32_t epoch, uint64_t index) {
  const r123::Philox4x32::ctr_type counter = {{static_cast<uint32_t>(stream), epoch,
                                               static_cast<uint32_t>(index),
                                               static_cast<uint32_t>(index >> 32)}};
  const r123::Philox4x32::key_type key = {{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}};
  const auto bits = r123::Philox4x32()(counter, key);
  return {{bits[0], bits[1], bits[2], bits[3]}};
}

/// A random order of 0..n-1 (Fisher and Yates).
inline std::vector<uint32_t> permutation(uint32_t n, uint64_t seed, Stream stream, uint32_t epoch = 0) {
  std::vector<uint32_t> order(n);
  for (uint32_t i = 0; i < n; ++i) order[i] = i;
  for (uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[draw(seed, stream, epoch, i).below(i)]);
  return order;
}

}  // namespace labelsmooth
