// SPDX-License-Identifier: MIT
#include "evaluate/binomial_table.h"

#include <gtest/gtest.h>

#include <boost/math/distributions/binomial.hpp>  // boost::math::binomial, cdf
#include <cmath>                                  // std::abs, std::sqrt
#include <random>                                 // std::mt19937

namespace labelsmooth {
namespace {

// How many of the 2^32 words give at most k.
double words_up_to(const BinomialTable& table, int64_t k) {
  uint64_t low = 0, high = uint64_t{1} << 32;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    table.draw(static_cast<uint32_t>(middle)) <= k ? low = middle + 1 : high = middle;
  }
  return static_cast<double>(low);
}

TEST(BinomialTable, HasTheDistributionToOneWord) {
  for (const int64_t n : {1, 2, 3, 40, 250, 4096, 1'000'000}) {
    for (const double p : {1e-9, 1e-3, 0.1, 0.5, 0.77, 0.999, 1 - 1e-9}) {
      if (static_cast<double>(n) * p * (1 - p) > BinomialTable::kMostVariance) continue;
      const BinomialTable table(n, p);
      const boost::math::binomial exact(static_cast<double>(n), p);
      const int64_t least = table.draw(0), most = table.draw(~uint32_t{0});
      EXPECT_GE(least, 0);
      EXPECT_LE(most, n);
      for (int64_t k = std::max<int64_t>(least - 1, 0); k <= most; ++k)
        ASSERT_NEAR(words_up_to(table, k), cdf(exact, static_cast<double>(k)) * 0x1p32, 1)
            << n << " " << p << " " << k;
    }
  }
}

TEST(BinomialTable, WhatIsCertain) {
  for (const int64_t n : {0, 1, 500, 1'000'000'000}) {
    for (const uint32_t bits : {uint32_t{0}, uint32_t{1} << 31, ~uint32_t{0}}) {
      EXPECT_EQ(BinomialTable(n, 0).draw(bits), 0);
      EXPECT_EQ(BinomialTable(n, 1).draw(bits), n);
    }
  }
}

TEST(BinomialCounts, MeanAndVarianceOfAnyNumberOfRows) {
  constexpr int kDraws = 20'000;
  std::mt19937 random(3);
  for (const int64_t n : {7, 4097, 100'000, 30'000'000}) {
    for (const double p : {0.01, 0.5, 0.9}) {
      const BinomialCounts counts(n, p);
      const double mean = static_cast<double>(n) * p, variance = mean * (1 - p);
      double sum = 0, squares = 0;
      for (int i = 0; i < kDraws; ++i) {
        const int64_t count = counts.draw(random);
        ASSERT_TRUE(0 <= count && count <= n);
        const double off = static_cast<double>(count) - mean;
        sum += off, squares += off * off;
      }
      EXPECT_LT(std::abs(sum / kDraws), 4 * std::sqrt(variance / kDraws)) << n << " " << p;
      // The fourth moment of a binomial is 3 variance^2 + variance (1 - 6 p (1 - p)).
      const double error = std::sqrt((2 * variance * variance + variance) / kDraws);
      EXPECT_NEAR(squares / kDraws, variance, 4 * error) << n << " " << p;
    }
  }
}

}  // namespace
}  // namespace labelsmooth
