// SPDX-License-Identifier: MIT
#include "evaluation/metrics.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>  // std::sort, std::lower_bound, std::max, std::min
#include <cmath>      // std::abs, std::sqrt, std::pow, std::lround, std::isnan, std::nextafter
#include <limits>     // std::numeric_limits
#include <numbers>    // std::numbers::pi
#include <random>     // std::mt19937
#include <utility>    // std::pair, std::move
#include <vector>     // std::vector

namespace labelsmooth {
namespace {

/// A table with the given confidences and outcomes, ranked by `score`, or by the confidence.
Items table(std::vector<double> confidence, std::vector<double> correct, std::vector<double> score = {}) {
  Items items;
  items.score = score.empty() ? confidence : std::move(score);
  items.confidence = std::move(confidence);
  items.correct = std::move(correct);
  return items;
}

/// Fixture F1: 1000 distinct confidences, none on an edge of 15 bins, right with probability near c^2.
Items f1() {
  std::vector<double> confidence, correct;
  for (int i = 0; i < 1000; ++i) {
    const double c = (i + 0.5) / 1000;
    confidence.push_back(c);
    correct.push_back((7919 * i) % 1009 / 1009.0 < c * c);
  }
  return table(confidence, correct);
}

/// Confidences near 1 as of a trained network, labels drawn from them.
Items calibrated(int rows, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform;
  std::vector<double> confidence, correct;
  for (int i = 0; i < rows; ++i) {
    confidence.push_back(1 - 0.7 * std::pow(uniform(random), 3));
    correct.push_back(uniform(random) < confidence.back());
  }
  return table(confidence, correct);
}

/// Few distinct scores, so many ties.
rc::Gen<Items> tied_items(int least) {
  return rc::gen::map(rc::gen::suchThat(rc::gen::arbitrary<std::vector<std::pair<uint8_t, bool>>>(),
                                        [least](const auto& rows) { return std::ssize(rows) >= least; }),
                      [](const std::vector<std::pair<uint8_t, bool>>& rows) {
                        Items items;
                        for (const auto& [score, correct] : rows) {
                          items.score.push_back(score % 8);
                          items.correct.push_back(correct);
                        }
                        return items;
                      });
}

// The definitions once more, over all pairs of rows.

/// Row j is among those taken when row i is the last one taken.
bool taken(const Items& items, size_t j, size_t i) {
  return items.score[j] > items.score[i] || (items.score[j] == items.score[i] && j <= i);
}

double naive_area(const Items& items, bool generalised) {
  const size_t rows = items.score.size();
  double sum = 0;
  for (size_t i = 0; i < rows; ++i) {
    double count = 0, errors = 0;
    for (size_t j = 0; j < rows; ++j) {
      if (!taken(items, j, i)) continue;
      count += 1;
      errors += items.correct[j] == 0;
    }
    sum += errors / (generalised ? static_cast<double>(rows) : count);
  }
  return sum / static_cast<double>(rows);
}
double naive_aurc(const Items& items) { return naive_area(items, false); }
double naive_augrc(const Items& items) { return naive_area(items, true); }

double naive_auroc(const Items& items) {
  double pairs = 0, wins = 0;
  for (size_t i = 0; i < items.score.size(); ++i) {
    for (size_t j = 0; j < items.score.size(); ++j) {
      if (items.correct[i] == 0 || items.correct[j] == 1) continue;
      pairs += 1;
      wins += items.score[i] > items.score[j] ? 1 : items.score[i] == items.score[j] ? 0.5 : 0;
    }
  }
  return wins / pairs;
}

std::vector<double> naive_jackknife(const Items& items, double (*theta)(const Items&)) {
  const auto rows = static_cast<double>(items.score.size());
  std::vector<double> pseudo;
  for (size_t i = 0; i < items.score.size(); ++i) {
    Items without = items;
    without.score.erase(without.score.begin() + i);
    without.correct.erase(without.correct.begin() + i);
    pseudo.push_back(rows * theta(items) - (rows - 1) * theta(without));
  }
  return pseudo;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  RC_ASSERT(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) RC_ASSERT(std::abs(a[i] - b[i]) <= tolerance);
}

TEST(Means, OfFixtureF1) {
  Items items = f1();
  items.nll = {1, 2, 6};
  items.brier = {0, 2};
  EXPECT_DOUBLE_EQ(accuracy(items), 0.333);
  EXPECT_NEAR(confidence(items), 0.5, 1e-15);
  EXPECT_NEAR(gap(items), 0.167, 1e-15);
  EXPECT_DOUBLE_EQ(nll(items), 3);
  EXPECT_DOUBLE_EQ(brier(items), 1);
}

TEST(Ece, OfFixtureF1) {
  const Items items = f1();
  EXPECT_NEAR(ece(items), 0.167, 1e-14);
  double largest = 0, squares = 0;
  for (const Bin& bin : reliability(items)) {
    const double d = std::abs(bin.confidence - bin.accuracy);
    largest = std::max(largest, d);
    squares += bin.count / 1000.0 * d * d;
  }
  EXPECT_NEAR(largest, 0.257575757576, 1e-12);             // MCE
  EXPECT_NEAR(std::sqrt(squares), 0.184636598943, 1e-12);  // RMSCE
}

TEST(Ece, DocumentedValuesOfOtherTools) {
  EXPECT_NEAR(ece(table({0.25, 0.25, 0.55, 0.75, 0.75}, {0, 0, 1, 1, 1}), 2), 0.29, 1e-15);
  EXPECT_NEAR(ece(table({0.95, 1}, {1, 0}), 10), 0.475, 1e-15);  // 1 shares the last bin
}

TEST(Ece, AnEdgeBelongsToTheBinAboveAndOneToTheLast) {
  for (const int bins : {1, 2, 3, 10, 15, 49, 100}) {  // (1.0 / 49) * 49 < 1 in double
    std::vector<double> edges, below;
    for (int b = 0; b < bins; ++b) {
      edges.push_back(static_cast<double>(b) / bins);
      below.push_back(std::nextafter(static_cast<double>(b + 1) / bins, 0.0));
    }
    edges.push_back(1);
    const std::vector<Bin> of_edges = reliability(table(edges, std::vector<double>(bins + 1, 1)), bins);
    const std::vector<Bin> of_below = reliability(table(below, std::vector<double>(bins, 1)), bins);
    for (int b = 0; b < bins; ++b) {
      EXPECT_EQ(of_edges[b].count, b == bins - 1 ? 2 : 1) << bins << " " << b;
      EXPECT_EQ(of_below[b].count, 1) << bins << " " << b;
      EXPECT_EQ(of_below[b].confidence, below[b]);
    }
  }
}

TEST(Ece, OfOneBinIsTheGap) {
  const Items items = calibrated(1000, 3);
  EXPECT_NEAR(ece(items, 1), std::abs(gap(items)), 1e-15);
}

TEST(Ece, FewerRowsThanBins) {
  EXPECT_NEAR(ece(table({0.9, 0.3}, {1, 0})), (0.1 + 0.3) / 2, 1e-15);
  EXPECT_NEAR(ece(table({0.7}, {1})), 0.3, 1e-15);
}

TEST(Reliability, MeansOfABin) {
  const std::vector<Bin> bins = reliability(table({0.6, 0.7, 0.1}, {1, 0, 0}), 2);
  EXPECT_EQ(bins[1].count, 2);
  EXPECT_DOUBLE_EQ(bins[1].confidence, 0.65);
  EXPECT_DOUBLE_EQ(bins[1].accuracy, 0.5);
  EXPECT_DOUBLE_EQ(bins[1].null_sd, std::sqrt(0.24 + 0.21) / 2);
  const std::vector<Bin> sparse = reliability(table({0.6}, {1}), 2);
  EXPECT_EQ(sparse[0].count, 0);
  EXPECT_TRUE(std::isnan(sparse[0].confidence) && std::isnan(sparse[0].accuracy));
}

TEST(NullLevel, CertainPredictionsLeaveNothingToDraw) {
  const NullLevel right = null_level(table({1, 1, 0}, {1, 1, 0}), 1);
  EXPECT_EQ(right.mean, 0);
  EXPECT_EQ(right.quantile95, 0);
  EXPECT_EQ(right.p, 1);  // every redraw reaches 0
  const NullLevel wrong = null_level(table({1, 1, 0}, {0, 0, 1}), 1, 15, 99);
  EXPECT_EQ(wrong.mean, 0);
  EXPECT_EQ(wrong.p, 0.01);
  EXPECT_EQ(wrong.excess, 1);
}

TEST(NullLevel, OfOneRowIsItsTwoOutcomes) {
  constexpr int kRedraws = 20000;
  const NullLevel null = null_level(table({0.8}, {1}), 5, 15, kRedraws);
  // 0.2 with probability 0.8, 0.8 with probability 0.2
  EXPECT_NEAR(null.mean, 0.32, 4 * 0.6 * std::sqrt(0.16 / kRedraws));
  EXPECT_NEAR(null.quantile95, 0.8, 1e-15);
  EXPECT_EQ(null.p, 1);  // all redraws reach 0.2, the observed
  EXPECT_NEAR(null_level(table({0.8}, {0}), 5, 15, kRedraws).p, 0.2, 4 * std::sqrt(0.16 / kRedraws));
}

TEST(NullLevel, QuantileIsTheLeastThatNinetyFivePercentDoNotExceed) {
  const Items items = calibrated(100, 1);
  std::vector<double> redraws;  // the ECE of each, from the sums of the first r
  double sum = 0;
  for (int r = 1; r <= 20; ++r) {
    redraws.push_back(null_level(items, 9, 15, r).mean * r - sum);
    sum += redraws.back();
  }
  std::sort(redraws.begin(), redraws.end());
  // 19 of 20 are the 95 %: the second largest, not the largest
  EXPECT_NEAR(null_level(items, 9, 15, 20).quantile95, redraws[18], 1e-12);
  EXPECT_GT(redraws[19] - redraws[18], 1e-6);
}

TEST(NullLevel, AgreesWithTheClosedFormOfItsMean) {
  const Items items = calibrated(10000, 7);
  double closed = 0;  // each bin's gap is normal, with mean |.| sqrt(2 / pi) of its deviation
  for (const Bin& bin : reliability(items, 5)) {
    if (bin.count > 0) closed += bin.count / 10000.0 * std::sqrt(2 / std::numbers::pi) * bin.null_sd;
  }
  EXPECT_NEAR(null_level(items, 1, 5, 4000).mean / closed, 1, 0.025);
}

TEST(NullLevel, AgreesWithABruteForceRedraw) {
  for (const int rows : {3, 37, 500}) {
    const Items items = calibrated(rows, 11);
    std::mt19937 random(rows);
    std::uniform_real_distribution<double> uniform;
    constexpr int kRedraws = 4000;
    std::vector<double> brute;
    double sum = 0, squares = 0;
    for (int r = 0; r < kRedraws; ++r) {
      std::vector<double> gap_of_bin(15);
      for (const double c : items.confidence) gap_of_bin[std::min(14.0, c * 15)] += c - (uniform(random) < c);
      double value = 0;
      for (const double g : gap_of_bin) value += std::abs(g) / rows;
      brute.push_back(value);
      sum += value;
      squares += value * value;
    }
    std::sort(brute.begin(), brute.end());
    const double sd = std::sqrt(squares / kRedraws - sum / kRedraws * (sum / kRedraws));
    const NullLevel null = null_level(items, 3, 15, kRedraws);
    EXPECT_NEAR(null.mean, sum / kRedraws, 4 * sd * std::sqrt(2.0 / kRedraws)) << rows;
    // 2 %: 4 standard errors of two levels of 95 %; three rows have few values, equal but for rounding
    EXPECT_GE(null.quantile95, brute[kRedraws * 93 / 100] - 1e-12) << rows;
    EXPECT_LE(null.quantile95, brute[kRedraws * 97 / 100] + 1e-12) << rows;
    const auto reached = brute.end() - std::lower_bound(brute.begin(), brute.end(), ece(items) - 1e-12);
    EXPECT_NEAR(null.p, reached / double{kRedraws}, 4 * std::sqrt(0.5 / kRedraws)) << rows;
  }
}

TEST(NullLevel, RejectsACalibratedModelAsOftenAsItSays) {
  constexpr int kModels = 1000;
  int rejected = 0;
  for (int m = 0; m < kModels; ++m) rejected += null_level(calibrated(300, m), m, 15, 199).p <= 0.05;
  EXPECT_NEAR(rejected / double{kModels}, 0.05, 4 * std::sqrt(0.05 * 0.95 / kModels));
}

TEST(NullLevel, SameSeedSameBits) {
  const Items items = calibrated(1000, 2);
  const NullLevel a = null_level(items, 42), b = null_level(items, 42), c = null_level(items, 43);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.quantile95, b.quantile95);
  EXPECT_EQ(a.p, b.p);
  EXPECT_NE(a.mean, c.mean);
}

TEST(Ranking, OfFixtureF1) {
  const Items items = f1();
  const double area = aurc(items), generalised = augrc(items);
  EXPECT_NEAR(area, 0.386957512546, 1e-12);  // mean convention
  // trapezoid-normalised convention, by the relation of the header; the first row is right, the last risk
  // 0.667
  const double first = 1 - items.correct[999], last = 0.667;
  EXPECT_NEAR((1000 * area - (first + last) / 2) / 999, 0.387011023569, 1e-12);
  EXPECT_NEAR((1000 * generalised - (first / 1000 + last) / 2) / 999, 0.250263763764, 1e-12);
  // E-AURC, mean convention: the same errors, ranked by an oracle
  EXPECT_NEAR(area - aurc(table(items.confidence, items.correct, items.correct)), 0.0857952937833, 1e-12);
}

TEST(Ranking, AugrcIsAurocAndAccuracyWithoutTies) {
  for (const Items& items : {f1(), calibrated(777, 5)}) {
    const double n = static_cast<double>(items.correct.size()), acc = accuracy(items);
    const double risk = 1 - acc;
    EXPECT_NEAR(augrc(items), (1 - auroc(items)) * acc * risk + risk * risk / 2 + risk / (2 * n), 1e-14);
  }
}

RC_GTEST_PROP(Ranking, AgreesWithAllPairs, ()) {
  const Items items = *tied_items(1);
  RC_ASSERT(std::abs(aurc(items) - naive_aurc(items)) < 1e-13);
  RC_ASSERT(std::abs(augrc(items) - naive_augrc(items)) < 1e-13);
  const double ours = auroc(items), naive = naive_auroc(items);
  RC_ASSERT(std::isnan(ours) == std::isnan(naive));
  RC_ASSERT(std::isnan(ours) || std::abs(ours - naive) < 1e-13);
}

RC_GTEST_PROP(Jackknife, AgreesWithLeavingEachRowOut, ()) {
  const Items items = *tied_items(2);
  expect_near(aurc_items(items), naive_jackknife(items, naive_aurc), 1e-10);
  expect_near(augrc_items(items), naive_jackknife(items, naive_augrc), 1e-10);
  double right = 0;
  for (const double c : items.correct) right += c;
  const std::vector<double> ours = auroc_items(items);
  if (right < 2 || static_cast<double>(items.correct.size()) - right < 2) {
    for (const double v : ours) RC_ASSERT(std::isnan(v));
  } else {
    expect_near(ours, naive_jackknife(items, naive_auroc), 1e-10);
  }
}

TEST(Jackknife, StandardErrorIsTheSpreadOverTestSets) {
  constexpr int kRows = 400, kSets = 800;
  double (*const value[])(const Items&) = {aurc, augrc, auroc};
  std::vector<double> (*const pseudo[])(const Items&) = {aurc_items, augrc_items, auroc_items};
  for (int m = 0; m < 3; ++m) {
    double sum = 0, squares = 0, claimed = 0;
    for (int s = 0; s < kSets; ++s) {
      const Items items = calibrated(kRows, 1000 + s);
      const double theta = value[m](items);
      sum += theta;
      squares += theta * theta;
      double mean = 0, variance = 0;
      for (const double v : pseudo[m](items)) mean += v / kRows;
      for (const double v : pseudo[m](items)) variance += (v - mean) * (v - mean) / (kRows - 1);
      claimed += variance / kRows / kSets;
    }
    const double actual = (squares - sum * sum / kSets) / (kSets - 1);
    EXPECT_NEAR(claimed / actual, 1, 4 * std::sqrt(2.0 / kSets)) << m;
  }
}

TEST(Ranking, EqualScoresKeepTheOrderOfTheRows) {
  std::mt19937 random(6);
  Items items;
  for (int i = 0; i < 300; ++i) {  // enough that an unstable sort shuffles them
    items.score.push_back(random() % 3);
    items.correct.push_back(random() % 2);
  }
  EXPECT_NEAR(aurc(items), naive_aurc(items), 1e-13);
  EXPECT_NEAR(augrc(items), naive_augrc(items), 1e-13);
}

TEST(Ranking, InfiniteScoresTie) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(auroc(table({1, 1, 1}, {1, 0, 1}, {inf, inf, 2})), 0.25);
}

TEST(Ranking, AllRightAndAllWrong) {
  const Items right = table({0.9, 0.8}, {1, 1}), wrong = table({0.9, 0.8}, {0, 0});
  EXPECT_TRUE(std::isnan(auroc(right)) && std::isnan(auroc(wrong)));
  EXPECT_TRUE(std::isnan(auroc_items(right)[0]) && std::isnan(auroc_items(wrong)[1]));
  EXPECT_EQ(aurc(right), 0);
  EXPECT_EQ(aurc(wrong), 1);
  EXPECT_EQ(augrc(wrong), 0.75);  // (1 + 2) / 4
}

TEST(RiskCoverage, ThinnedToTheWantedPoints) {
  const Items items = f1();
  const std::vector<RiskPoint> all = risk_coverage(items, 5000), few = risk_coverage(items, 7);
  ASSERT_EQ(all.size(), 1000u);
  ASSERT_EQ(few.size(), 7u);
  double sum = 0;
  for (const RiskPoint& point : all) sum += point.risk / 1000;
  EXPECT_NEAR(sum, aurc(items), 1e-14);
  EXPECT_EQ(few.back().coverage, 1);
  EXPECT_DOUBLE_EQ(few.back().risk, 0.667);
  for (size_t k = 0; k < few.size(); ++k) {
    EXPECT_NEAR(few[k].coverage, (k + 1) / 7.0, 1e-3);
    EXPECT_EQ(few[k].risk, all[std::lround(few[k].coverage * 1000) - 1].risk);
  }
}

TEST(Metrics, RefuseWhatHasNoMeaning) {
  const Items none, one = table({0.5}, {1});
  for (double (*const metric)(const Items&) :
       {accuracy, labelsmooth::nll, labelsmooth::brier, labelsmooth::confidence, gap, aurc, augrc, auroc}) {
    EXPECT_THROW(metric(none), Error);
  }
  EXPECT_THROW(ece(none), Error);
  EXPECT_THROW(reliability(none), Error);
  EXPECT_THROW(null_level(none, 1), Error);
  EXPECT_THROW(risk_coverage(none, 10), Error);
  EXPECT_THROW(ece(one, 0), Error);
  EXPECT_THROW(null_level(one, 1, 15, 0), Error);
  EXPECT_THROW(risk_coverage(one, 0), Error);
  EXPECT_THROW(ece(table({1.5}, {1})), Error);
  EXPECT_THROW(ece(table({std::nan("")}, {1})), Error);
  EXPECT_THROW(aurc_items(one), Error);
  EXPECT_THROW(augrc_items(one), Error);
  EXPECT_THROW(auroc_items(one), Error);
}

}  // namespace
}  // namespace labelsmooth
