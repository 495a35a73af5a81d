// SPDX-License-Identifier: MIT
// Binomial counts by inversion: where one distribution is drawn from a thousand times, a table is faster than
// a rejection method, and takes one word of random bits a draw.
#pragma once

#include <array>    // std::array
#include <cstdint>  // int64_t, uint16_t, uint32_t
#include <vector>   // std::vector

namespace labelsmooth {

/// Counts of n rows that are each right with probability p, exact to 2^-32: what is rarer on either side does
/// not come up.
class BinomialTable {
 public:
  /// n >= 0, p in [0, 1], n p (1 - p) at most kMostVariance. Memory: 4 bytes for each count within some 6.5
  /// standard deviations.
  BinomialTable(int64_t n, double p);

  /// The count for 32 random bits; it rises with them.
  int64_t draw(uint32_t bits) const {
    uint32_t i = start_[bits >> kShift];
    i += bits > last_[i] ? 1 : 0;  // twice without a branch, which would mostly be guessed wrong
    i += bits > last_[i] ? 1 : 0;
    while (bits > last_[i]) ++i;
    return least_ + static_cast<int64_t>(i);
  }

  /// The variance up to which a table is made: a sum of counts serves beyond it.
  static constexpr double kMostVariance = 1024;

 private:
  static constexpr int kShift = 26;
  int64_t least_;
  std::vector<uint32_t> last_;                        // the greatest bits of each count from least_ on
  std::array<uint16_t, (1 << (32 - kShift))> start_;  // where to look first
};

/// The same of any n: the sum of some equal tables' counts and of another's.
class BinomialCounts {
 public:
  BinomialCounts(int64_t n, double p);

  /// `bits()` gives 32 random bits.
  template <class Bits>
  int64_t draw(Bits& bits) const {
    int64_t count = rest_.draw(bits());
    for (int64_t i = 0; i < equal_; ++i) count += part_.draw(bits());
    return count;
  }

 private:
  int64_t equal_, each_;  // parts but for the last, and the rows of each
  BinomialTable part_, rest_;
};

}  // namespace labelsmooth
