// SPDX-License-Identifier: MIT
#include "evaluation/sorted_order.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::stable_sort
#include <limits>     // std::numeric_limits
#include <numeric>    // std::iota
#include <random>     // std::mt19937

#include "labelsmooth/parallel.h"  // set_threads

namespace labelsmooth {
namespace {

TEST(SortedOrder, IsTheStableSort) {
  std::mt19937 random(1);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const size_t size : {0, 1, 2, 5, 15, 16, 17, 1000, 200'000}) {  // fewer than parts, uneven, by threads
    std::vector<double> key(size);
    for (double& one : key) {  // many ties, and on both sides of 0
      one = static_cast<double>(random() % (size / 3 + 1)) - static_cast<double>(size / 9);
      one *= 1e-3;
    }
    if (size > 16) key[3] = kInf, key[5] = -kInf, key[7] = -0.0, key[11] = 0.0;
    for (const First first : {First::least, First::greatest}) {
      std::vector<uint32_t> expected(size);
      std::iota(expected.begin(), expected.end(), 0);
      std::stable_sort(expected.begin(), expected.end(), [&](uint32_t a, uint32_t b) {
        return first == First::least ? key[a] < key[b] : key[a] > key[b];
      });
      for (const int threads : {1, 3}) {
        set_threads(threads);
        EXPECT_EQ(sorted_order(key, first), expected) << size;
      }
    }
  }
  set_threads(0);
}

}  // namespace
}  // namespace labelsmooth
