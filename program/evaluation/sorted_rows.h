// SPDX-License-Identifier: MIT
// Rows in the order of a number.
#pragma once

#include <hwy/base.h>  // hwy::uint128_t

#include <cstdint>  // uint32_t, uint8_t
#include <vector>   // std::vector

namespace labelsmooth {

enum class First : uint8_t { least, greatest };

/// The rows by `key`, equal keys by row. Each carries its `correct`: to fetch it from elsewhere would take
/// half as long as the sort.
class SortedRows {
 public:
  /// `key` is nowhere NaN, `correct` is 0 or 1; fewer than 2^32 rows. Memory: 16 bytes a row, those of `key`
  /// given back before they are sorted.
  SortedRows(std::vector<double> key, const std::vector<double>& correct, First first);

  size_t size() const { return entries_.size(); }
  /// Of the n-th row; 0 for -0.
  double key(size_t n) const;
  uint32_t row(size_t n) const { return static_cast<uint32_t>(entries_[n].lo / 2); }
  bool correct(size_t n) const { return entries_[n].lo % 2 != 0; }

 private:
  double sign_;
  std::vector<hwy::uint128_t> entries_;  // the key above its row above its `correct`
};

}  // namespace labelsmooth
