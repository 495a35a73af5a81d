// SPDX-License-Identifier: MIT
// The soft cap's kernels beside long double: every instruction set, lengths around the lane count, numbers
// that vanish, saturate or are none.
#include <gtest/gtest.h>

#include <algorithm>  // std::max
#include <cmath>      // std::abs, std::cosh, std::isnan, std::nan, std::tanh
#include <limits>     // std::numeric_limits
#include <vector>     // std::vector

#include "batch.h"
#include "kernels.h"

namespace labelsmooth {
namespace {

// Of both signs: from the least numbers past where tanh is 1.
std::vector<double> numbers() {
  std::vector<double> z = {0, -0., std::numeric_limits<double>::denorm_min()};
  for (double x = 1e-300; x < 2000; x *= x < 1e-3 ? 7.3 : 1.0007) z.insert(z.end(), {x, -x});
  return z;
}

// ulps(z): what is allowed.
template <class Ulps, class Truth>
void expect_within(const Ulps& ulps, const std::vector<double>& z, const std::vector<double>& found,
                   const Truth& truth) {
  double worst = 0;
  for (size_t k = 0; k < z.size(); ++k) {
    const long double expected = truth(static_cast<long double>(z[k]));
    // Below the normal numbers there are no relative errors; the kernel's exp is 0 there.
    if (std::abs(expected) < 1e-306L) continue;
    worst =
        std::max(worst, double(std::abs(found[k] - expected)) / ulp<double>(double(expected)) / ulps(z[k]));
  }
  EXPECT_LE(worst, 1);
}

TEST(SoftCap, IsTanhAndItsSlopeToFewUlp) {
  const std::vector<double> z = numbers();
  for (const Kernels& kernels : usable_kernels()) {
    SCOPED_TRACE(kernels.isa);
    for (const double cap : {1., 30.}) {
      std::vector<double> capped = z, slopes = z;
      const auto n = static_cast<int64_t>(z.size());
      kernels.soft_cap.apply(capped.data(), n, cap, 2);
      kernels.soft_cap.slopes(slopes.data(), n, cap, 2);
      expect_within([](double) { return 4; }, z, capped,
                    [&](long double x) { return 2 * cap * std::tanh(x / cap); });
      expect_within([&](double x) { return 4 + 2 * std::abs(x / cap); }, z,
                    slopes,  // the rounding of x / cap
                    [&](long double x) { return 2 / (std::cosh(x / cap) * std::cosh(x / cap)); });
    }
  }
}

TEST(SoftCap, WhatIsNoNumber) {
  for (const Kernels& kernels : usable_kernels()) {
    SCOPED_TRACE(kernels.isa);
    const std::vector<double> z = {kInf, -kInf, std::nan(""), 1e308, -1e308};
    std::vector<double> capped = z, slopes = z;
    kernels.soft_cap.apply(capped.data(), 5, 30, 1);
    kernels.soft_cap.slopes(slopes.data(), 5, 30, 1);
    EXPECT_EQ(capped[0], kInf);
    EXPECT_EQ(capped[1], -kInf);
    EXPECT_TRUE(std::isnan(capped[2]) && std::isnan(slopes[2]));
    EXPECT_EQ(capped[3], 30);
    EXPECT_EQ(capped[4], -30);
    for (const int k : {0, 1, 3, 4}) EXPECT_EQ(slopes[k], 0);
  }
}

// The same bits wherever a number stands, and nothing past the end.
TEST(SoftCap, AnyLength) {
  for (const Kernels& kernels : usable_kernels()) {
    SCOPED_TRACE(kernels.isa);
    for (const int64_t n : {1, 2, 3, 7, 8, 9, 15, 16, 17, 33}) {
      for (const auto kernel : {kernels.soft_cap.apply, kernels.soft_cap.slopes}) {
        std::vector<double> z(n + 1, .75);
        for (int64_t k = 0; k < n; ++k) z[k] = .1 * double(k + 1);
        const std::vector<double> logits = z;
        kernel(z.data(), n, 3, 1);
        for (int64_t k = 0; k < n; ++k) {
          double one = logits[k];
          kernel(&one, 1, 3, 1);
          EXPECT_EQ(z[k], one) << n << " at " << k;
        }
        EXPECT_EQ(z[n], .75) << n;
      }
    }
  }
}

}  // namespace
}  // namespace labelsmooth
