// SPDX-License-Identifier: MIT
// What evaluate alone asks of the ranking; the rest is in metrics_test.cc.
#include "evaluation/ranking.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::sort
#include <random>     // std::mt19937
#include <vector>     // std::vector

namespace labelsmooth {
namespace {

Items drawn(int rows, int scores, double accuracy, uint32_t seed) {
  std::mt19937 random(seed);
  Items items;
  for (int i = 0; i < rows; ++i) {
    items.score.push_back(std::uniform_int_distribution<int>(1, scores)(random));
    items.correct.push_back(std::bernoulli_distribution(accuracy)(random));
  }
  return items;
}

Items without(Items items, int row) {
  items.score.erase(items.score.begin() + row);
  items.correct.erase(items.correct.begin() + row);
  return items;
}

/// The aurc of the same errors, all of them last.
double oracle(Items items) {
  std::sort(items.correct.begin(), items.correct.end());
  for (size_t i = 0; i < items.score.size(); ++i) items.score[i] = static_cast<double>(i);
  return aurc(items);
}

TEST(Ranking, EaurcIsAboveTheOracle) {
  for (const double accuracy : {0.0, 0.3, 0.9, 1.0}) {
    const Items items = drawn(50, 10, accuracy, 1);
    EXPECT_NEAR(Ranking(items).eaurc(), aurc(items) - oracle(items), 1e-15);
    EXPECT_GE(Ranking(items).eaurc(), -1e-15);
  }
}

TEST(Ranking, EaurcItemsAreTheJackknife) {
  for (const double accuracy : {0.0, 0.5, 0.9, 1.0}) {
    const Items items = drawn(30, 6, accuracy, 2);
    const Ranking all(items);
    const std::vector<double> pseudo = all.by_row(all.eaurc_items(all.aurc_items()));
    for (int i = 0; i < 30; ++i)
      EXPECT_NEAR(pseudo[i], 30 * all.eaurc() - 29 * Ranking(without(items, i)).eaurc(), 1e-12) << i;
  }
}

TEST(Ranking, AccuracyAndCoverage) {
  Items items;
  items.score = {9, 8, 7, 6, 5};
  items.correct = {1, 0, 1, 1, 1};
  EXPECT_EQ(Ranking(items).accuracy_at(0.2), 1);
  EXPECT_EQ(Ranking(items).accuracy_at(0.21), 0.5);
  EXPECT_EQ(Ranking(items).accuracy_at(1), 0.8);
  EXPECT_EQ(Ranking(items).accuracy_at(1e-9), 1);
  EXPECT_EQ(Ranking(items).coverage_at(0.05), 0.2);
  EXPECT_EQ(Ranking(items).coverage_at(0.2), 1);
  items.correct[0] = 0;
  EXPECT_EQ(Ranking(items).coverage_at(0.05), 0);
}

}  // namespace
}  // namespace labelsmooth
