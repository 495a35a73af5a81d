// SPDX-License-Identifier: MIT
#include "evaluation/sorted_order.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::stable_sort
#include <numeric>    // std::iota
#include <random>     // std::mt19937

#include "labelsmooth/parallel.h"  // set_threads

namespace labelsmooth {
namespace {

TEST(SortedOrder, IsTheStableSort) {
  std::mt19937 random(1);
  for (const size_t size : {0, 1, 2, 5, 15, 16, 17, 1000, 200'000}) {  // fewer than parts, uneven, by threads
    std::vector<double> key(size);
    for (double& one : key) one = static_cast<double>(random() % (size / 3 + 1));  // many ties
    std::vector<uint32_t> expected(size);
    std::iota(expected.begin(), expected.end(), 0);
    std::stable_sort(expected.begin(), expected.end(),
                     [&](uint32_t a, uint32_t b) { return key[a] < key[b]; });
    for (const int threads : {1, 3}) {
      set_threads(threads);
      EXPECT_EQ(sorted_order(key), expected) << size;
    }
  }
  set_threads(0);
}

}  // namespace
}  // namespace labelsmooth
