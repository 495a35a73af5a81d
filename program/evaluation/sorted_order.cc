// SPDX-License-Identifier: MIT
#include "evaluation/sorted_order.h"

#include <hwy/contrib/sort/vqsort.h>  // hwy::Sorter

#include <algorithm>  // std::is_sorted
#include <bit>        // std::bit_cast
#include <cstdint>    // uint64_t
#include <numeric>    // std::iota

namespace labelsmooth {
namespace {

// Bits that are in the order of the numbers; those of -0 and 0 are the same.
uint64_t ordered_bits(double x) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  const auto bits = std::bit_cast<uint64_t>(x + 0.0);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

}  // namespace

std::vector<uint32_t> sorted_order(const std::vector<double>& key, First first) {
  const double sign = first == First::least ? 1 : -1;
  std::vector<uint32_t> order(key.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [sign](double a, double b) { return sign * a < sign * b; };
  if (std::is_sorted(key.begin(), key.end(), before)) return order;
  std::vector<hwy::uint128_t> entries;  // the key above its row
  entries.reserve(key.size());
  for (const uint32_t row : order) entries.push_back({row, ordered_bits(sign * key[row])});
  // std::sort takes five times as long; Boost's float_sort leaves long ties in any order.
  hwy::Sorter()(entries.data(), entries.size(), hwy::SortAscending());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(entries[i].lo);
  return order;
}

}  // namespace labelsmooth
