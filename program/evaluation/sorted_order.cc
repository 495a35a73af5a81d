// SPDX-License-Identifier: MIT
#include "evaluation/sorted_order.h"

#include <algorithm>  // std::inplace_merge, std::is_sorted, std::sort
#include <numeric>    // std::iota

#include "parallel.h"

namespace labelsmooth {
namespace {

constexpr int64_t kParts = 16;

struct Entry {  // the key beside its row: a third faster than rows that look their keys up
  double key;
  uint32_t row;
  bool operator<(const Entry& other) const {
    return key < other.key || (key == other.key && row < other.row);
  }
};

}  // namespace

std::vector<uint32_t> sorted_order(const std::vector<double>& key, First first) {
  const double sign = first == First::least ? 1 : -1;
  std::vector<uint32_t> order(key.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [sign](double a, double b) { return sign * a < sign * b; };
  if (std::is_sorted(key.begin(), key.end(), before)) return order;
  std::vector<Entry> entries;
  entries.reserve(key.size());
  for (const uint32_t row : order) entries.push_back({sign * key[row], row});

  const auto size = static_cast<int64_t>(key.size());
  const auto part = [&](int64_t i) { return entries.begin() + size * i / kParts; };
  parallel_for(kParts, size, [&](int64_t begin, int64_t end) {
    // Boost's float_sort takes 40 % less time and leaves long ties in any order.
    for (int64_t i = begin; i < end; ++i) std::sort(part(i), part(i + 1));
  });
  for (int64_t width = 1; width < kParts; width *= 2) {
    parallel_for(kParts / (2 * width), size, [&](int64_t begin, int64_t end) {
      for (int64_t i = 2 * width * begin; i < 2 * width * end; i += 2 * width)
        std::inplace_merge(part(i), part(i + width), part(i + 2 * width));
    });
  }
  for (size_t i = 0; i < order.size(); ++i) order[i] = entries[i].row;
  return order;
}

}  // namespace labelsmooth
