// SPDX-License-Identifier: MIT
#include "evaluation/sorted_rows.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::stable_sort
#include <cmath>      // std::signbit
#include <limits>     // std::numeric_limits
#include <numeric>    // std::iota
#include <random>     // std::mt19937

namespace labelsmooth {
namespace {

void expect_stable_sort(const std::vector<double>& key) {
  for (const First first : {First::least, First::greatest}) {
    std::vector<uint32_t> expected(key.size());
    std::iota(expected.begin(), expected.end(), 0);
    std::stable_sort(expected.begin(), expected.end(), [&](uint32_t a, uint32_t b) {
      return first == First::least ? key[a] < key[b] : key[a] > key[b];
    });
    std::vector<double> correct(key.size());
    for (size_t i = 0; i < key.size(); ++i) correct[i] = static_cast<double>(i * i % 3 == 1);
    const SortedRows sorted(key, correct, first);
    ASSERT_EQ(sorted.size(), key.size());
    size_t wrong = 0;
    for (size_t n = 0; n < key.size(); ++n)
      wrong += sorted.row(n) != expected[n] || sorted.key(n) != key[expected[n]] ||
               std::signbit(sorted.key(n)) != (key[expected[n]] < 0) ||
               sorted.correct(n) != (correct[expected[n]] == 1);
    EXPECT_EQ(wrong, 0) << key.size();
  }
}

TEST(SortedRows, IsTheStableSort) {
  std::mt19937 random(1);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const size_t size : {0, 1, 2, 5, 15, 16, 17, 1000, 200'000}) {
    std::vector<double> key(size);
    for (double& one : key)  // a few of each, on both sides of 0
      one = 1e-3 * (static_cast<double>(random() % (size / 3 + 1)) - static_cast<double>(size / 9));
    if (size > 16) key[3] = kInf, key[5] = -kInf, key[7] = -0.0, key[11] = 0.0;
    expect_stable_sort(key);
  }
}

// A radix sort tried here left ties as they fell.
TEST(SortedRows, LongTies) {
  std::mt19937 random(2);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const double most : {1.0, kInf}) {  // a saturated model's confidences, and its scores
    std::vector<double> key(300'000);
    for (double& one : key) one = random() % 10 < 6 ? most : static_cast<double>(random() % 1000) / 1000;
    expect_stable_sort(key);
  }
  std::vector<double> two(300'000), near(20'000);
  for (double& one : two) one = random() % 2 == 0 ? 1 : .5;
  expect_stable_sort(two);
  for (double& one : near) one = 1 - static_cast<double>(random() % 8) * 0x1p-53;
  expect_stable_sort(near);
}

}  // namespace
}  // namespace labelsmooth
