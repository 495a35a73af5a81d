// SPDX-License-Identifier: MIT
#include "evaluate/null_levels.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::sort
#include <cmath>      // std::abs, std::pow, std::sqrt
#include <random>     // std::mt19937

#include "labelsmooth/parallel.h"

namespace labelsmooth {
namespace {

Items calibrated(int rows, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform;
  Items items;
  for (int i = 0; i < rows; ++i) {
    const double c = 1 - 0.7 * std::pow(uniform(random), 2);
    items.confidence.push_back(c);
    items.correct.push_back(uniform(random) < c);
  }
  return items;
}

NullLevels levels_of(const TopLabel& top, int redraws, uint64_t seed) {
  Progress progress("sets", 1, 1, true);
  SmoothEce smooth;
  return null_levels(top, top.errors(top.right(), smooth), 16, redraws, seed, progress);
}

// Under calibration p is uniform over its steps: Kolmogorov's distance below its 99.99 % point.
TEST(NullLevels, PIsUniformWhereTheModelIsCalibrated) {
  constexpr int kSets = 300, kRedraws = 39;
  std::mt19937 random(1);
  std::vector<std::vector<double>> p(TopLabelErrors::kCount);
  for (int s = 0; s < kSets; ++s) {
    const TopLabel top(calibrated(200, random), {});
    const NullLevels levels = levels_of(top, kRedraws, s);
    for (int e = 0; e < TopLabelErrors::kCount; ++e) p[e].push_back(levels.errors[e].p);
  }
  for (int e = 0; e < TopLabelErrors::kCount; ++e) {
    std::sort(p[e].begin(), p[e].end());
    double distance = 0;
    for (int i = 0; i < kSets; ++i)
      distance = std::max(distance, std::abs((i + 0.5) / kSets - (p[e][i] - 0.5 / (kRedraws + 1))));
    EXPECT_LT(distance, 2.23 / std::sqrt(kSets)) << TopLabelErrors::names()[e];
  }
}

TEST(NullLevels, MeanOfTheEceIsThatOfFoldedNormals) {
  std::mt19937 random(2);
  const TopLabel top(calibrated(20'000, random), {});
  double expected = 0;
  for (const BinSummary& bin : top.bins()) expected += std::sqrt(2 / M_PI * bin.variance) / 20'000;
  EXPECT_NEAR(levels_of(top, 1000, 1).errors[0].mean, expected, 0.02 * expected);
}

TEST(NullLevels, ByCellsAsByRows) {
  std::mt19937 random(3);
  const Items many = calibrated(200'001, random);
  Items few = many;
  few.confidence.pop_back();
  few.correct.pop_back();
  const NullLevels by_cells = levels_of(TopLabel(many, {}), 400, 1),
                   by_rows = levels_of(TopLabel(few, {}), 400, 1);
  for (int e = 0; e < TopLabelErrors::kCount; ++e) {
    EXPECT_NEAR(by_cells.errors[e].mean / by_rows.errors[e].mean, 1, 0.12) << TopLabelErrors::names()[e];
    EXPECT_NEAR(by_cells.errors[e].p95 / by_rows.errors[e].p95, 1, 0.15) << TopLabelErrors::names()[e];
  }
}

TEST(NullLevels, TheBandHoldsACalibratedCurve) {
  std::mt19937 random(4);
  int inside = 0, points = 0;
  for (int s = 0; s < 60; ++s) {
    const TopLabel top(calibrated(1000, random), {});
    SmoothEce smooth;
    const TopLabelErrors errors = top.errors(top.right(), smooth);
    const NullLevels levels = levels_of(top, 200, s);
    const std::vector<Abreast> curve = SmoothCurve(top, errors.sigma.of[0], 16).accuracy(smooth);
    for (int i = 0; i <= 16; ++i) {
      if (std::isnan(levels.band_low[i])) continue;
      ++points;
      inside += levels.band_low[i] <= curve[i].of[0] && curve[i].of[0] <= levels.band_high[i];
    }
  }
  EXPECT_NEAR(static_cast<double>(inside) / points, 0.95, 0.02);
}

TEST(NullLevels, ARowOfConfidenceOneIsRightInEveryRedraw) {
  Items items;
  items.correct = items.confidence = {1, 1, 1};
  const NullLevels levels = levels_of(TopLabel(items, {}), 20, 1);
  for (const Null& null : levels.errors) EXPECT_EQ(null.mean, 0);
}

// Where the residual keeps its sign, smece is the gap, and redraws with as many right rows tie with it:
// rounding once decided which of them counted.
TEST(NullLevels, RedrawsThatTieCount) {
  std::mt19937 random(8);
  std::uniform_real_distribution<double> uniform(0.6, 0.7);
  for (const int rows : {10, 20}) {
    Items items;
    for (int i = 0; i < rows; ++i) {
      items.confidence.push_back(uniform(random));
      items.correct.push_back(i % 2);
    }
    const NullLevels levels = levels_of(TopLabel(items, {.bins = 1}), 1000, 1);
    EXPECT_EQ(levels.errors[5].p, levels.errors[0].p);
  }
}

// Also of the classwise level, where whole labels are redrawn.
TEST(NullLevels, ClasswisePIsUniform) {
  constexpr int kSets = 300, kRedraws = 39, kRows = 60, kClasses = 5;
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 2);
  std::uniform_real_distribution<double> uniform;
  std::vector<double> p;
  for (int s = 0; s < kSets; ++s) {
    std::vector<double> logits;
    std::vector<int> labels;
    for (int i = 0; i < kRows; ++i) {
      std::vector<double> weight;
      for (int k = 0; k < kClasses; ++k) {
        logits.push_back(normal(random));
        weight.push_back(std::exp(logits.back()));
      }
      labels.push_back(std::discrete_distribution<int>(weight.begin(), weight.end())(random));
    }
    Progress progress("sets", 1, 1, true);
    const Logits view(logits.data(), kRows, kClasses);
    const Observations seen = observe(view, labels, {}, {}, progress);
    p.push_back(classwise_null(view, labels, {}, {}, seen, kRedraws, s, progress).p);
  }
  std::sort(p.begin(), p.end());
  double distance = 0;
  for (int i = 0; i < kSets; ++i)
    distance = std::max(distance, std::abs((i + 0.5) / kSets - (p[i] - 0.5 / (kRedraws + 1))));
  EXPECT_LT(distance, 2.23 / std::sqrt(kSets));
}

// So many bins that the counters of all redraws do not fit at once: the mean goes on as it began.
TEST(NullLevels, SeveralPassesAreOne) {
  constexpr int kBins = 1000, kRows = 50, kClasses = 3;
  ASSERT_EQ(classwise_passes(kClasses, kBins, 2796), 1);
  ASSERT_EQ(classwise_passes(kClasses, kBins, 8000), 3);
  std::mt19937 random(7);
  std::normal_distribution<double> normal(0, 2);
  std::vector<double> logits(kRows * kClasses);
  for (double& z : logits) z = normal(random);
  const std::vector<int> labels(kRows, 1);
  const Logits view(logits.data(), kRows, kClasses);
  Progress progress("sets", 1, 1, true);
  const Binning binning = {.bins = kBins};
  const Observations seen = observe(view, labels, {}, binning, progress);
  const Null one = classwise_null(view, labels, {}, binning, seen, 2796, 1, progress);
  const Null three = classwise_null(view, labels, {}, binning, seen, 8000, 1, progress);
  EXPECT_NE(one.mean, three.mean);  // the later draws are others
  EXPECT_NEAR(three.mean / one.mean, 1, 0.01);
  EXPECT_NEAR(three.p95 / one.p95, 1, 0.02);
}

TEST(NullLevels, TheSameBitsForAnyNumberOfThreads) {
  std::mt19937 random(6);
  const TopLabel top(calibrated(500, random), {});
  set_threads(1);
  const NullLevels one = levels_of(top, 50, 1);
  set_threads(3);
  const NullLevels three = levels_of(top, 50, 1);
  set_threads(0);
  for (int e = 0; e < TopLabelErrors::kCount; ++e) {
    EXPECT_EQ(one.errors[e].mean, three.errors[e].mean);
    EXPECT_EQ(one.errors[e].p95, three.errors[e].p95);
  }
}

}  // namespace
}  // namespace labelsmooth
