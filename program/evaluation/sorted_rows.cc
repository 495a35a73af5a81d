// SPDX-License-Identifier: MIT
#include "evaluation/sorted_rows.h"

#include <hwy/contrib/sort/vqsort.h>  // hwy::Sorter

#include <bit>      // std::bit_cast
#include <cstdint>  // uint64_t

namespace labelsmooth {
namespace {

constexpr uint64_t kSign = uint64_t{1} << 63;

// Bits that are in the order of the numbers; those of -0 and 0 are the same.
uint64_t ordered_bits(double x) {
  const auto bits = std::bit_cast<uint64_t>(x + 0.0);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}
double number_of(uint64_t bits) { return std::bit_cast<double>((bits & kSign) != 0 ? bits ^ kSign : ~bits); }

}  // namespace

SortedRows::SortedRows(std::vector<double> key, const std::vector<double>& correct, First first)
    : sign_(first == First::least ? 1 : -1) {
  entries_.reserve(key.size());
  bool sorted = true;
  for (size_t row = 0; row < key.size(); ++row) {
    const uint64_t bits = ordered_bits(sign_ * key[row]);
    sorted = sorted && (row == 0 || entries_.back().hi <= bits);
    entries_.push_back({2 * row + (correct[row] != 0), bits});
  }
  std::vector<double>().swap(key);
  // std::sort takes five times as long; Boost's float_sort leaves long ties in any order.
  if (!sorted) hwy::Sorter()(entries_.data(), entries_.size(), hwy::SortAscending());
}

double SortedRows::key(size_t n) const { return sign_ * number_of(entries_[n].hi) + 0.0; }

}  // namespace labelsmooth
