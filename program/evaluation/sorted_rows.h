// SPDX-License-Identifier: MIT
// Rows in the order of a number.
#pragma once

#include <hwy/base.h>  // hwy::uint128_t

#include <cstdint>  // uint32_t, uint8_t
#include <vector>   // std::vector

namespace labelsmooth {

enum class First : uint8_t { least, greatest };

/// The rows by `key`, equal keys by row.
class SortedRows {
 public:
  /// `key` is nowhere NaN; fewer than 2^32 rows. Memory: 16 bytes a row, those of `key` given back before
  /// they are sorted.
  explicit SortedRows(std::vector<double> key, First first = First::least);

  size_t size() const { return entries_.size(); }
  /// Of the n-th row; 0 for -0.
  double key(size_t n) const;
  uint32_t row(size_t n) const { return static_cast<uint32_t>(entries_[n].lo); }

 private:
  double sign_;
  std::vector<hwy::uint128_t> entries_;  // the key above its row
};

}  // namespace labelsmooth
