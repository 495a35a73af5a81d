// SPDX-License-Identifier: MIT
#include "random.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::sort
#include <array>      // std::array
#include <cmath>      // std::abs, std::erfc, std::sqrt
#include <map>        // std::map
#include <numeric>    // std::iota
#include <set>        // std::set
#include <vector>     // std::vector

namespace labelsmooth {
namespace {

using Bits = std::array<uint32_t, 4>;
Bits bits_of(const Draw& random) { return {random.bits[0], random.bits[1], random.bits[2], random.bits[3]}; }

// The known answers of Random123 for Philox4x32-10. The last one has no two words alike, so it also pins
// which word of counter and key each argument goes to.
TEST(Draw, KnownVectors) {
  EXPECT_EQ(bits_of(draw(0, Stream{0}, 0, 0)), (Bits{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(bits_of(draw(0x299f31d0'a4093822, Stream{0x243f6a88}, 0x85a308d3, 0x03707344'13198a2e)),
            (Bits{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Every stored result depends on this order.
TEST(Draw, StreamsKeepTheirNumbers) {
  EXPECT_EQ(static_cast<int>(Stream::split), 0);
  EXPECT_EQ(static_cast<int>(Stream::halves), 1);
  EXPECT_EQ(static_cast<int>(Stream::noise), 2);
  EXPECT_EQ(static_cast<int>(Stream::weights), 3);
  EXPECT_EQ(static_cast<int>(Stream::order), 4);
  EXPECT_EQ(static_cast<int>(Stream::sampled), 5);
  EXPECT_EQ(static_cast<int>(Stream::null_level), 6);
}

TEST(Draw, EndsOfTheRange) {
  constexpr uint32_t kMost = 0xffffffff;
  const Draw least = {{0, 0, 0, 0}}, most = {{kMost, kMost, kMost, kMost}};
  EXPECT_EQ(least.uniform(), 0);
  EXPECT_LT(most.uniform(3), 1);
  for (const uint32_t n : {1u, 2u, 10u, 60000u, kMost}) {
    EXPECT_EQ(least.below(n), 0);
    EXPECT_EQ(most.below(n, 2), n - 1);
  }
  EXPECT_TRUE(std::isfinite(most.normal()));
  EXPECT_EQ(least.normal(), 0);
}

constexpr int kDraws = 40000;

// Chi-square with 9 degrees of freedom: above 39 with probability 1e-5. The seed is fixed.
TEST(Draw, UniformInEveryWord) {
  for (int word = 0; word < 4; ++word) {
    std::vector<int> tenths(10), below(10);
    for (int i = 0; i < kDraws; ++i) {
      const Draw random = draw(7, Stream::split, 3, i);
      ++tenths[static_cast<int>(random.uniform(word) * 10)];
      ++below[random.below(10, word)];
    }
    const auto chi_square = [](const std::vector<int>& counts) {
      double sum = 0;
      for (const int n : counts) sum += (n - kDraws / 10.) * (n - kDraws / 10.) / (kDraws / 10.);
      return sum;
    };
    EXPECT_LT(chi_square(tenths), 39) << word;
    EXPECT_LT(chi_square(below), 39) << word;
  }
}

// Kolmogorov's distance to the normal distribution: sqrt(n) D above 2.5 with probability 7e-6.
TEST(Draw, NormalIsNormal) {
  std::vector<double> values;
  for (int i = 0; i < kDraws; ++i) values.push_back(draw(7, Stream::weights, 0, i).normal());
  std::sort(values.begin(), values.end());
  double distance = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double cdf = std::erfc(-values[i] / std::sqrt(2.)) / 2;
    distance =
        std::max({distance, std::abs(cdf - i / double{kDraws}), std::abs((i + 1) / double{kDraws} - cdf)});
  }
  EXPECT_LT(distance * std::sqrt(kDraws), 2.5);
}

TEST(Draw, EveryArgumentCounts) {
  std::set<Bits> seen;
  for (const uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{1} << 32}) {
    for (const Stream stream : {Stream::split, Stream::noise}) {
      for (const uint32_t epoch : {0u, 1u}) {
        for (const uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
          seen.insert(bits_of(draw(seed, stream, epoch, index)));
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 3 * 2 * 2 * 3);
}

TEST(Permutation, HoldsEveryIndexOnce) {
  for (const uint32_t n : {0u, 1u, 2u, 3u, 1000u}) {
    std::vector<uint32_t> order = permutation(n, 5, Stream::order, 2), identity(n);
    std::iota(identity.begin(), identity.end(), 0u);
    if (n == 1000) {
      EXPECT_NE(order, identity);
    }
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, identity);
  }
}

TEST(Permutation, DependsOnSeedStreamAndEpochAlone) {
  const auto order = permutation(100, 5, Stream::order, 2);
  EXPECT_EQ(permutation(100, 5, Stream::order, 2), order);
  EXPECT_NE(permutation(100, 6, Stream::order, 2), order);
  EXPECT_NE(permutation(100, 5, Stream::split, 2), order);
  EXPECT_NE(permutation(100, 5, Stream::order, 3), order);
}

// Chi-square with 23 degrees of freedom: above 66 with probability 5e-6.
TEST(Permutation, EveryOrderIsEquallyLikely) {
  std::map<std::vector<uint32_t>, int> counts;
  constexpr int kOrders = 24, kSeeds = 24000;
  for (int seed = 0; seed < kSeeds; ++seed) ++counts[permutation(4, seed, Stream::split)];
  double chi_square = 0;
  for (const auto& [order, n] : counts) {
    const double expected = double{kSeeds} / kOrders;
    chi_square += (n - expected) * (n - expected) / expected;
  }
  EXPECT_EQ(counts.size(), kOrders);
  EXPECT_LT(chi_square, 66);
}

}  // namespace
}  // namespace labelsmooth
