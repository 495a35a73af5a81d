// SPDX-License-Identifier: MIT
#include "evaluate/binomial_table.h"

#include <algorithm>  // std::min
#include <cmath>      // std::llround
#include <numeric>    // std::accumulate

namespace labelsmooth {
namespace {

/// P(count) / P(mode) of the counts from `least` on, all that matter.
struct Shape {
  int64_t least;
  std::vector<double> ratio;
};

Shape shape_of(int64_t n, double p) {
  constexpr double kNone = 1e-16;
  const auto real_n = static_cast<double>(n);
  const int64_t mode = std::min(static_cast<int64_t>((real_n + 1) * p), n);
  std::vector<double> below, above;
  double ratio = 1;
  for (int64_t k = mode; k > 0 && ratio > kNone; --k)
    below.push_back(ratio *= static_cast<double>(k) * (1 - p) / (static_cast<double>(n - k + 1) * p));
  ratio = 1;
  for (int64_t k = mode; k < n && ratio > kNone; ++k)
    above.push_back(ratio *= static_cast<double>(n - k) * p / (static_cast<double>(k + 1) * (1 - p)));
  Shape shape{mode - static_cast<int64_t>(below.size()), {below.rbegin(), below.rend()}};
  shape.ratio.push_back(1);
  shape.ratio.insert(shape.ratio.end(), above.begin(), above.end());
  return shape;
}

}  // namespace

BinomialTable::BinomialTable(int64_t n, double p) {
  const Shape shape = shape_of(n, p);
  const double whole = std::accumulate(shape.ratio.begin(), shape.ratio.end(), 0.0);
  least_ = shape.least;
  double sum = 0;
  for (const double ratio : shape.ratio) {
    sum += ratio;
    const long long end = std::llround(sum / whole * 0x1p32);
    if (end == 0) {
      ++least_;
    } else {
      last_.push_back(static_cast<uint32_t>(end - 1));
    }
    if (end >> 32 != 0) break;  // that count has the last of the bits
  }
  for (size_t b = 0, i = 0; b < start_.size(); ++b) {
    while (b << kShift > last_[i]) ++i;
    start_[b] = static_cast<uint16_t>(i);
  }
}

BinomialCounts::BinomialCounts(int64_t n, double p)
    : equal_(static_cast<int64_t>(static_cast<double>(n) * p * (1 - p) / BinomialTable::kMostVariance)),
      each_(n / (equal_ + 1)),
      part_(equal_ > 0 ? each_ : 0, p),
      rest_(n - equal_ * each_, p) {}

}  // namespace labelsmooth
