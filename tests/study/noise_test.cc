// SPDX-License-Identifier: MIT
#include "study/noise.h"

#include <gtest/gtest.h>

#include <cmath>   // std::sqrt
#include <set>     // std::set
#include <vector>  // std::vector

namespace labelsmooth {
namespace {

constexpr int kImages = 20000;
constexpr NoiseKind kClassDependent = NoiseKind::class_dependent;

// Five standard deviations of a binomial share; the seed is fixed.
double slack(double rate, int count) { return 5 * std::sqrt(rate * (1 - rate) / count); }

TEST(Noise, SymmetricHitsItsRateEvenlyAndNeverTheSameClass) {
  for (const double rate : {.05, .1, .4}) {
    std::vector<int> landed(10);
    int wrong = 0;
    for (int i = 0; i < kImages; ++i) {
      const int64_t label = noisy_label(3, 10, {rate}, 1, i);
      ASSERT_TRUE(label >= 0 && label < 10);
      if (label != 3) ++wrong, ++landed[label];
    }
    EXPECT_NEAR(wrong / double{kImages}, rate, slack(rate, kImages));
    for (const int k : {0, 1, 2, 4, 5, 6, 7, 8, 9}) {
      EXPECT_NEAR(landed[k] / double{kImages}, rate / 9, slack(rate / 9, kImages)) << k;
    }
  }
}

TEST(Noise, TheEndsOfTheRate) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(noisy_label(1, 3, {0}, 1, i), 1);
    EXPECT_NE(noisy_label(1, 3, {1}, 1, i), 1);
    EXPECT_EQ(noisy_label(1, 2, {1}, 1, i), 0);  // two classes: the other one
  }
}

// Whatever a lower rate corrupts, a higher one corrupts too, and to the same class.
TEST(Noise, NestedOverTheRates) {
  for (const NoiseKind kind : {NoiseKind::symmetric, kClassDependent}) {
    for (int i = 0; i < 2000; ++i) {
      const int64_t low = noisy_label(6, 10, {.1, kind}, 1, i), high = noisy_label(6, 10, {.4, kind}, 1, i);
      if (low != 6) {
        EXPECT_EQ(high, low);
      }
    }
  }
}

TEST(Noise, ClassDependentStaysAmongTheLookAlikes) {
  const std::vector<std::set<int64_t>> groups = {{0, 2, 4, 6}, {7, 9}};
  for (const std::set<int64_t>& group : groups) {
    for (const int64_t label : group) {
      std::vector<int> landed(10);
      for (int i = 0; i < kImages; ++i) ++landed[noisy_label(label, 10, {.1, kClassDependent}, 1, i)];
      EXPECT_NEAR(landed[label] / double{kImages}, .9, slack(.1, kImages));
      const double share = .1 / static_cast<double>(group.size() - 1);
      for (int64_t k = 0; k < 10; ++k) {
        if (k == label) continue;
        if (group.contains(k)) {
          EXPECT_NEAR(landed[k] / double{kImages}, share, slack(share, kImages)) << label << " " << k;
        } else {
          EXPECT_EQ(landed[k], 0) << label << " " << k;
        }
      }
    }
  }
  for (const int64_t label : {1, 3, 5, 8}) {
    for (int i = 0; i < 100; ++i) EXPECT_EQ(noisy_label(label, 10, {1, kClassDependent}, 1, i), label);
  }
}

TEST(Noise, APureFunctionOfSeedAndImage) {
  int seeds_differ = 0, images_differ = 0;
  for (int i = 0; i < 1000; ++i) {
    const int64_t label = noisy_label(3, 10, {.5}, 1, i);
    EXPECT_EQ(noisy_label(3, 10, {.5}, 1, i), label);
    seeds_differ += noisy_label(3, 10, {.5}, 2, i) != label;
    images_differ += noisy_label(3, 10, {.5}, 1, i + 1000) != label;
  }
  EXPECT_GT(seeds_differ, 300);
  EXPECT_GT(images_differ, 300);
}

TEST(Noise, Names) {
  EXPECT_EQ(name(NoiseKind::symmetric), "symmetric");
  EXPECT_EQ(name(kClassDependent), "class-dependent");
}

}  // namespace
}  // namespace labelsmooth
