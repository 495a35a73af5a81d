// SPDX-License-Identifier: MIT
// Coverage by simulation: each interval holds the truth in 95 % of many sets, for calibrated models and
// others.
#include "evaluate/intervals.h"

#include <gtest/gtest.h>

#include <algorithm>   // std::sort
#include <cmath>       // std::abs, std::pow, std::sqrt
#include <functional>  // std::function
#include <random>      // std::mt19937
#include <utility>     // std::move

#include "evaluation/ranking.h"

namespace labelsmooth {
namespace {

/// A world of confidences in (.3, 1) and of how often they are right.
struct World {
  const char* name;
  std::function<double(double)> accuracy;  // given the confidence
  double power;                            // confidences are 1 - .7 u^power
};
const World kCalibrated = {"calibrated", [](double c) { return c; }, 2};
const World kOver = {"over-confident", [](double c) { return c - 0.12 * c; }, 2};
const World kSlightly = {"slightly under-confident", [](double c) { return c + 0.03 * (1 - c); }, 1};
const World kConfident = {"confident", [](double c) { return c; }, 6};
const World kMixed = {"both", [](double c) { return c > 0.8 ? c - 0.05 : c + 0.1; }, 2};

Items draw_items(const World& world, int rows, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform;
  Items items;
  for (int i = 0; i < rows; ++i) {
    const double c = 1 - 0.7 * std::pow(uniform(random), world.power);
    items.confidence.push_back(c);
    items.score.push_back(-std::log1p(-c));
    items.correct.push_back(uniform(random) < world.accuracy(c));
  }
  return items;
}

/// Rows that are all right.
Items table(std::vector<double> confidence) {
  Items items;
  items.correct.assign(confidence.size(), 1);
  items.confidence = std::move(confidence);
  return items;
}

/// What the groups' own delta add up to: that of the world's accuracies at the confidences seen.
double true_square(const Items& items, const World& world) {
  std::vector<double> sorted = items.confidence;
  std::sort(sorted.begin(), sorted.end());
  double sum = 0;
  const TopLabel top(items, {});
  auto next = sorted.begin();
  for (const BinSummary& group : top.groups()) {
    double gap = 0;
    for (const auto end = next + static_cast<int64_t>(group.count); next != end; ++next)
      gap += (*next - world.accuracy(*next)) / group.count;
    sum += group.count / static_cast<double>(sorted.size()) * gap * gap;
  }
  return sum;
}

/// Within four binomial errors of `share`.
void expect_share(double hits, double sets, double share, const std::string& what) {
  EXPECT_NEAR(hits / sets, share, 4 * std::sqrt(share * (1 - share) / sets)) << what;
}

TEST(Intervals, OfTheDebiasedSquare) {
  constexpr int kSets = 600;
  for (const World& world : {kCalibrated, kOver, kSlightly, kConfident, kMixed}) {
    for (const int rows : {300, 3000}) {
      std::mt19937 random(rows);
      int covered = 0, below = 0, above = 0;
      double bias = 0, truth = 0, squares = 0;
      for (int s = 0; s < kSets; ++s) {
        const Items items = draw_items(world, rows, random);
        truth = true_square(items, world);
        const Interval interval = debiased_square(TopLabel(items, {}).groups());
        covered += interval.low <= truth && truth <= interval.high;
        below += truth < interval.low;
        above += truth > interval.high;
        bias += (interval.value - truth) / kSets;
        squares += std::pow(interval.value - truth, 2) / kSets;
        ASSERT_GE(interval.low, 0);
      }
      const std::string what = std::string(world.name) + ", rows " + std::to_string(rows) + ": " +
                               std::to_string(covered) + " covered, " + std::to_string(below) + " below, " +
                               std::to_string(above) + " above";
      // At 0 there is nothing below to miss: one tail of 2.5 %.
      const bool calibrated = truth < 1e-20;
      expect_share(covered, kSets, calibrated ? 0.975 : 0.95, what);
      EXPECT_LT(std::abs(bias), 4 * std::sqrt(squares / kSets) + 0.05 / rows) << what;
    }
  }
}

TEST(Intervals, OfTheDebiasedSquareNeedRows) {
  std::mt19937 random(1);
  EXPECT_TRUE(std::isnan(debiased_square(TopLabel(draw_items(kOver, 149, random), {}).groups()).low));
  EXPECT_FALSE(std::isnan(debiased_square(TopLabel(draw_items(kOver, 150, random), {}).groups()).low));
  // All right and sure: no variance, so no interval.
  const Items sure = table(std::vector<double>(200, 1));
  EXPECT_EQ(debiased_square(TopLabel(sure, {}).groups()).value, 0);
  EXPECT_TRUE(std::isnan(debiased_square(TopLabel(sure, {}).groups()).low));
  // All right without being sure: an interval about the gap's square.
  const Items right = table(std::vector<double>(2000, 0.8));
  const Interval interval = debiased_square(TopLabel(right, {}).groups());
  EXPECT_NEAR(interval.value, 0.04, 1e-14);
  EXPECT_LE(interval.low, interval.value);
  EXPECT_GE(interval.high, interval.value);
}

TEST(Intervals, OfMeansAndShares) {
  constexpr int kSets = 2000;
  for (const World& world : {kCalibrated, kOver}) {
    std::mt19937 random(2);
    std::uniform_real_distribution<double> uniform;
    double accuracy = 0, gap = 0;  // of the world
    constexpr int kGrid = 100'000;
    for (int i = 0; i < kGrid; ++i) {
      const double c = 1 - 0.7 * std::pow((i + 0.5) / kGrid, world.power);
      accuracy += world.accuracy(c) / kGrid;
      gap += (c - world.accuracy(c)) / kGrid;
    }
    int share = 0, mean = 0;
    for (int s = 0; s < kSets; ++s) {
      const Items items = draw_items(world, 100, random);
      Moments moments;
      double right = 0;
      for (int i = 0; i < 100; ++i) {
        const double x = items.confidence[i] - items.correct[i];
        moments.sum += x;
        moments.squares += x * x;
        right += items.correct[i];
      }
      const Interval of_share = share_interval(right, 100), of_gap = mean_interval(moments, 100);
      share += of_share.low <= accuracy && accuracy <= of_share.high;
      mean += of_gap.low <= gap && gap <= of_gap.high;
    }
    expect_share(share, kSets, 0.95, "accuracy");
    expect_share(mean, kSets, 0.95, "gap");
  }
  EXPECT_GT(share_interval(50, 50).low, 0.9);  // where t would have no width
  EXPECT_EQ(share_interval(50, 50).high, 1);
  EXPECT_EQ(share_interval(0, 50).low, 0);
}

TEST(Intervals, OfTheRanking) {
  constexpr int kSets = 400, kRows = 400;
  std::mt19937 random(3);
  struct Metric {
    const char* name;
    double (*value)(const Ranking&);
    std::vector<double> (*items)(const Ranking&);
    double truth = 0;
    int covered = 0;
  };
  std::vector<Metric> metrics = {
      {"aurc", [](const Ranking& x) { return x.aurc(); }, [](const Ranking& x) { return x.aurc_items(); }},
      {"eaurc", [](const Ranking& x) { return x.eaurc(); },
       [](const Ranking& x) { return x.eaurc_items(x.aurc_items()); }},
      {"augrc", [](const Ranking& x) { return x.augrc(); }, [](const Ranking& x) { return x.augrc_items(); }},
      {"auroc", [](const Ranking& x) { return x.auroc(); },
       [](const Ranking& x) { return x.auroc_items(); }}};
  const Ranking many(draw_items(kOver, 1'000'000, random));
  for (Metric& metric : metrics) metric.truth = metric.value(many);
  for (int s = 0; s < kSets; ++s) {
    const Ranking ranking(draw_items(kOver, kRows, random));
    for (Metric& metric : metrics) {
      const Interval interval = jackknife_interval(metric.value(ranking), metric.items(ranking));
      metric.covered += interval.low <= metric.truth && metric.truth <= interval.high;
    }
  }
  for (const Metric& metric : metrics) expect_share(metric.covered, kSets, 0.95, metric.name);
}

TEST(Intervals, WithoutVarianceThereIsNone) {
  EXPECT_TRUE(std::isnan(mean_interval({.sum = 6, .squares = 12}, 3).low));
  EXPECT_TRUE(std::isnan(mean_interval({.sum = 6, .squares = 36}, 1).low));
  EXPECT_EQ(mean_interval({.sum = 6, .squares = 12}, 3).value, 2);
  EXPECT_TRUE(std::isnan(jackknife_interval(1, {2, 2, 2}).low));
}

}  // namespace
}  // namespace labelsmooth
