// SPDX-License-Identifier: MIT
#include "evaluation/inference.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::any_of
#include <cmath>      // std::pow, std::sqrt, std::isnan, std::nan
#include <random>     // std::mt19937_64
#include <tuple>      // std::tuple
#include <vector>     // std::vector

#include "labelsmooth/parallel.h"  // set_threads
#include "labelsmooth/tensor.h"    // Error

namespace labelsmooth {
namespace {

using Table = std::vector<std::vector<double>>;
const double kNaN = std::nan("");

/// Four standard errors of a share.
double error_of(double share, int tables) { return 4 * std::sqrt(share * (1 - share) / tables); }

/// effect + seed + item + residual, all normal.
Table simulate(int seeds, int items, double effect, double seed_sd, double item_sd, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::vector<double> of_item(items);
  for (double& item : of_item) item = item_sd * normal(random);
  Table table(seeds);
  for (std::vector<double>& row : table) {
    const double of_seed = seed_sd * normal(random);
    for (const double item : of_item) row.push_back(effect + of_seed + item + normal(random));
  }
  return table;
}

TEST(Crossed, ATableWorkedByHand) {
  // MS_seed 79/12, MS_item 36, MS_residual 47/12; interval and p from an independent t distribution
  const Estimate e = crossed({{1, 2, 3, 7}, {2, 4, 9, 8}, {0, 3, 5, 12}});
  EXPECT_NEAR(e.value, 14.0 / 3, 1e-14);
  EXPECT_NEAR(e.se, std::sqrt((79.0 / 12 + 36 - 47.0 / 12) / 12), 1e-14);
  EXPECT_NEAR(e.df, 3.2771221269470794, 1e-12);
  EXPECT_NEAR(e.low, -0.7822014754993951, 1e-11);
  EXPECT_NEAR(e.high, 28.0 / 3 + 0.7822014754993951, 1e-11);
  EXPECT_NEAR(e.low90, 0.5839790474230302, 1e-11);
  EXPECT_NEAR(e.high90, 28.0 / 3 - 0.5839790474230302, 1e-11);
  EXPECT_NEAR(e.p, 0.07345791251977511, 1e-12);
}

TEST(Crossed, OneItemIsTheTTestOfTheSeeds) {
  const Estimate e = crossed({{1}, {2}, {3}, {4}, {5}});
  EXPECT_DOUBLE_EQ(e.value, 3);
  EXPECT_DOUBLE_EQ(e.se, std::sqrt(0.5));
  EXPECT_EQ(e.df, 4);
  EXPECT_NEAR(e.p, 0.013235599563682690, 1e-12);
  EXPECT_NEAR(e.low, 1.0367568385224428, 1e-11);
}

TEST(Crossed, WithoutItemVarianceItIsTheTTestOfTheSeedMeans) {
  // every item mean is the same, so MS_item = 0 and its component is floored
  const Estimate e = crossed({{1, 3}, {6, 4}, {2, 2}});
  EXPECT_DOUBLE_EQ(e.value, 3);
  EXPECT_DOUBLE_EQ(e.se, 1);  // seed means 2, 5, 2: sample variance 3, over 3 seeds
  EXPECT_EQ(e.df, 2);
}

TEST(Crossed, WithoutSeedVarianceItIsTheTTestOfTheItems) {
  const Estimate e = crossed({{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}});
  EXPECT_DOUBLE_EQ(e.se, std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(e.df, 4);
}

TEST(Crossed, DegreesOfFreedomKeepTheirFloor) {
  // MS_seed 0, MS_item 27/16, MS_residual 3/2: Satterthwaite alone would give 0.018
  const Estimate e = crossed({{1.75, -1, -0.75}, {0.75, 1, -1.75}, {-0.25, 0, 0.25}});
  EXPECT_DOUBLE_EQ(e.se, std::sqrt(3.0 / 16 / 9));
  EXPECT_EQ(e.df, 2);
}

TEST(Crossed, OneSeedHasAValueAndNoInterval) {
  const Estimate e = crossed({{1, 2, 6}});
  EXPECT_DOUBLE_EQ(e.value, 3);
  for (const double v : {e.se, e.df, e.low, e.high, e.low90, e.high90, e.p}) EXPECT_TRUE(std::isnan(v));
}

TEST(Crossed, EqualDifferencesHaveNoVariance) {
  for (const double d : {0.0, 0.1, -1e-3}) {
    const Estimate e = crossed(Table(7, std::vector<double>(13, d)));
    EXPECT_EQ(e.se, 0);
    EXPECT_EQ(e.p, d == 0 ? 1 : 0);
    for (const double v : {e.value, e.low, e.high, e.low90, e.high90}) EXPECT_EQ(v, d);
  }
}

TEST(Crossed, NotFiniteIsUnknown) {
  for (const double bad : {kNaN, HUGE_VAL}) {
    const Estimate e = crossed({{1, 2}, {bad, 3}});
    for (const double v : {e.value, e.se, e.df, e.low, e.high, e.p}) EXPECT_TRUE(std::isnan(v));
  }
}

TEST(Crossed, RefusesNoneAndRagged) {
  EXPECT_THROW(crossed({}), Error);
  EXPECT_THROW(crossed({{}, {}}), Error);
  EXPECT_THROW(crossed({{1, 2}, {1}}), Error);
}

struct Case {
  int seeds, items;
  double seed_sd, item_sd;  // of a residual of 1
  double slack;             // by which Satterthwaite's approximation may miss 95 % here
};

TEST(Crossed, CoversWhatItSaysAndItsVarianceIsUnbiased) {
  constexpr int kTables = 2500;
  const double error = 4 * std::sqrt(0.05 * 0.95 / kTables);
  std::mt19937_64 random(1);
  for (const Case& c : {Case{5, 200, 0.1, 1, 0}, Case{5, 200, 0.3, 1, 0.01}, Case{5, 200, 1, 1, 0.01},
                        Case{10, 100, 0.1, 1, 0}, Case{10, 100, 1, 0.5, 0}, Case{10, 100, 0.1, 0, 0},
                        Case{10, 100, 0, 1, 0}, Case{20, 50, 0, 0, 0.02}, Case{5, 200, 0, 0, 0.02},
                        Case{3, 200, 0.1, 0, 0.02}, Case{3, 200, 0, 1, 0}}) {
    int covered = 0;
    double claimed = 0;
    for (int t = 0; t < kTables; ++t) {
      const Estimate e = crossed(simulate(c.seeds, c.items, 7, c.seed_sd, c.item_sd, random));
      covered += e.low <= 7 && 7 <= e.high;
      claimed += e.se * e.se / kTables;
    }
    const std::string which = std::to_string(c.seeds) + " seeds " + std::to_string(c.seed_sd) + " items " +
                              std::to_string(c.item_sd);
    EXPECT_NEAR(covered / double{kTables}, 0.95, error + c.slack) << which;
    const double actual =
        c.seed_sd * c.seed_sd / c.seeds + c.item_sd * c.item_sd / c.items + 1.0 / (c.seeds * c.items);
    const double spread = 4 * std::sqrt(2.0 / ((c.seeds - 1) * kTables));  // of a mean square over the seeds
    // without item variance the floor adds 0.4 standard deviations of MS_item - MS_residual
    const double floor =
        c.item_sd > 0 ? 0 : 0.4 * std::sqrt(2.0 * c.seeds / ((c.seeds - 1.0) * (c.items - 1)));
    EXPECT_GT(claimed / actual, 1 - spread) << which;
    EXPECT_LT(claimed / actual, 1 + spread + floor) << which;
  }
}

TEST(Crossed, DetectsNoEffectAtMostOneTimeInTwenty) {
  constexpr int kTables = 4000;
  std::mt19937_64 random(2);
  for (const double seed_sd : {0.0, 0.1, 0.5}) {
    int found = 0;
    for (int t = 0; t < kTables; ++t) found += crossed(simulate(10, 60, 0, seed_sd, 0.7, random)).p < 0.05;
    EXPECT_LE(found / double{kTables}, 0.05 + 3 * std::sqrt(0.05 * 0.95 / kTables)) << seed_sd;
    EXPECT_GE(found / double{kTables}, 0.02) << seed_sd;  // and is not blind
  }
}

TEST(Crossed, HasThePowerOfThePlan) {
  // a true effect of 1.5 paired standard deviations, alone and at the first step of Holm over ten tests
  struct Power {
    int seeds;
    double alone, first_step;
  };
  constexpr int kTables = 5000;
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal(1.5, 1);
  for (const Power& power : {Power{3, 0.32, 0.04}, Power{5, 0.71, 0.19}, Power{10, 0.99, 0.81}}) {
    int alone = 0, first_step = 0;
    for (int t = 0; t < kTables; ++t) {
      Table table(power.seeds);
      for (std::vector<double>& row : table) row = {normal(random)};
      const double p = crossed(table).p;
      alone += p < 0.05;
      first_step += p < 0.005;
    }
    EXPECT_NEAR(alone / double{kTables}, power.alone, 0.025) << power.seeds;
    EXPECT_NEAR(first_step / double{kTables}, power.first_step, 0.025) << power.seeds;
  }
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-15) << i;
}

TEST(Holm, StepsDownAndNeverDecreases) {
  expect_near(holm({0.01, 0.04, 0.03, 0.005}), {0.03, 0.06, 0.06, 0.02});
  expect_near(holm({0.6, 0.2, 0.9}), {1, 0.6, 1});
  expect_near(holm({0.02, 0.02}), {0.04, 0.04});
  expect_near(holm({0.3}), {0.3});
  EXPECT_TRUE(holm({}).empty());
}

TEST(Holm, ATestWithoutAResultStillCounts) {
  const std::vector<double> adjusted = holm({0.01, kNaN, 0.02});
  EXPECT_NEAR(adjusted[0], 0.03, 1e-15);
  EXPECT_TRUE(std::isnan(adjusted[1]));
  EXPECT_NEAR(adjusted[2], 0.04, 1e-15);
}

TEST(Holm, KeepsTheFamilyWiseError) {
  constexpr int kFamilies = 20000;
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> uniform;
  int any = 0;
  for (int f = 0; f < kFamilies; ++f) {
    std::vector<double> p(10);  // four true effects, always found, and six nulls
    for (size_t i = 4; i < p.size(); ++i) p[i] = uniform(random);
    const std::vector<double> adjusted = holm(p);
    any += std::any_of(adjusted.begin() + 4, adjusted.end(), [](double q) { return q < 0.05; });
  }
  const double exact = 1 - std::pow(1 - 0.05 / 6, 6);
  EXPECT_NEAR(any / double{kFamilies}, exact, 4 * std::sqrt(exact * (1 - exact) / kFamilies));
}

/// An estimate with a 90 % interval of value +- half.
Estimate estimate(double value, double half) {
  Estimate e;
  e.value = value;
  e.low90 = value - half;
  e.high90 = value + half;
  return e;
}

TEST(Verdict, SaysWhatThePlanSays) {
  const auto say = [](double value, double half, double p_holm, Better better = Better::lower) {
    return verdict(estimate(value, half), p_holm, 0.01, better, 5, true);
  };
  EXPECT_EQ(say(-0.02, 0.005, 0.04), "helps");
  EXPECT_EQ(say(0.02, 0.005, 0.04), "hurts");
  EXPECT_EQ(say(-0.02, 0.005, 0.04, Better::higher), "hurts");
  EXPECT_EQ(say(0.02, 0.005, 0.04, Better::higher), "helps");
  EXPECT_EQ(say(-0.02, 0.005, 0.05), "inconclusive");   // p must be below .05
  EXPECT_EQ(say(-0.01, 0.005, 0.001), "inconclusive");  // the estimate must be beyond the margin
  EXPECT_EQ(say(-0.004, 0.005, 0.001), "negligible");   // significant and too small to matter
  EXPECT_EQ(say(0.004, 0.005, 0.9), "negligible");
  EXPECT_EQ(say(0.004, 0.007, 0.9), "inconclusive");   // the interval leaves the margin above
  EXPECT_EQ(say(-0.004, 0.007, 0.9), "inconclusive");  // and below
  EXPECT_EQ(say(0, 0, 1), "negligible");
  EXPECT_EQ(say(-0.02, 0.005, kNaN), "inconclusive");
}

TEST(Verdict, FewSeedsOrOutsideTheFamilyIsScreening) {
  const Estimate clear = estimate(-1, 0.001);
  EXPECT_EQ(verdict(clear, 1e-9, 0.01, Better::lower, 5, true), "helps");
  EXPECT_EQ(verdict(clear, 1e-9, 0.01, Better::lower, 4, true), "screening");
  EXPECT_EQ(verdict(clear, 1e-9, 0.01, Better::lower, 10, false), "screening");
  EXPECT_EQ(effect(clear, 1e-9, 0.01, Better::lower), "helps");
}

TEST(Verdict, NoValueIsNotTested) {
  EXPECT_EQ(verdict(Estimate{}, kNaN, 0.01, Better::lower, 10, true), "not tested");
}

// Two seeds with the same number of wrong rows, in different places: no variance between them, to the last
// bit.
TEST(Crossed, EqualCountsHaveNoSeedVariance) {
  std::vector<std::vector<double>> differences(2, std::vector<double>(97));
  for (int i = 0; i < 29; ++i) differences[0][i] = differences[1][96 - i] = 1;
  const Estimate estimate = crossed(differences);
  EXPECT_DOUBLE_EQ(estimate.value, 29. / 97);
  EXPECT_EQ(estimate.se, 0);
  EXPECT_EQ(estimate.p, 0);
}

// ---- Arms of different numbers of seeds ----

TEST(CrossedUnpaired, ATableWorkedByHand) {
  // MS_seed 25/6 and 79/9, MS_residual 1/6 and 59/18, var(d) 2.5648; figures from an independent program
  const Estimate e = crossed_unpaired({{0, 2, 5}, {2, 4, 6}}, {{2, 1, 0}, {2, 1, 3}, {2, 4, 7}});
  EXPECT_NEAR(e.value, 13. / 18, 1e-14);
  EXPECT_NEAR(e.se, 1.4603821586772125, 1e-13);
  EXPECT_NEAR(e.df, 3.352178827427881, 1e-12);
}

TEST(CrossedUnpaired, RefusesOneSeedAndOtherItems) {
  EXPECT_THROW(crossed_unpaired({{1, 2}}, {{1, 2}, {3, 4}}), Error);
  EXPECT_THROW(crossed_unpaired({{1, 2}, {3, 4}}, {{1, 2, 3}, {3, 4, 5}}), Error);
}

TEST(CrossedUnpaired, CoversWhatItSays) {
  constexpr int kTables = 2500;
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  for (const auto& [few, many, seed_sd] : {std::tuple{5, 8, 0.1}, {5, 10, 0.5}, {10, 6, 0.0}}) {
    int covered = 0;
    for (int t = 0; t < kTables; ++t) {
      std::vector<double> common(100);  // the items are shared: what both arms have must drop out
      for (double& one : common) one = 3 * normal(random);
      Table model = simulate(few, 100, 2, seed_sd, 0.5, random);
      Table reference = simulate(many, 100, 0, seed_sd, 0.5, random);
      for (Table* arm : {&model, &reference}) {
        for (std::vector<double>& row : *arm) {
          for (size_t i = 0; i < row.size(); ++i) row[i] += common[i];
        }
      }
      const Estimate e = crossed_unpaired(model, reference);
      covered += e.low <= 2 && 2 <= e.high;
    }
    EXPECT_NEAR(covered / double{kTables}, 0.95, error_of(0.95, kTables) + 0.01) << few << " " << many;
  }
}

// ---- Two given models ----

TEST(McNemar, AgreesWithCountsWorkedByHand) {
  // p: twice the binomial's tail; intervals: Tango's score scanned on a grid of 5e-6
  const Estimate e = mcnemar(10, 3, 50);
  EXPECT_DOUBLE_EQ(e.value, 0.14);
  EXPECT_NEAR(e.p, 2 * 378. / 8192, 1e-14);
  EXPECT_NEAR(e.low, -0.0014975, 5e-6);
  EXPECT_NEAR(e.high, 0.285474, 5e-6);
  const Estimate none = mcnemar(0, 0, 50);
  EXPECT_EQ(none.p, 1);
  EXPECT_NEAR(none.high, 0.071345, 5e-6);  // z^2 / (N + z^2): no change seen is not no change
  EXPECT_NEAR(none.low, -none.high, 1e-12);
  const Estimate gains = mcnemar(7, 0, 100), losses = mcnemar(0, 7, 100);
  EXPECT_DOUBLE_EQ(gains.p, 2. / 128);
  EXPECT_NEAR(gains.low, 0.030414, 6e-6);
  EXPECT_NEAR(gains.high, 0.137493, 6e-6);
  EXPECT_NEAR(losses.low, -gains.high, 1e-12);
  EXPECT_LT(gains.low, gains.low90);
  EXPECT_GT(gains.high, gains.high90);
  EXPECT_EQ(mcnemar(1, 1, 30).p, 1);
  EXPECT_THROW(mcnemar(3, 3, 5), Error);
}

TEST(McNemar, CoversWhatItSaysAndIsExact) {
  constexpr int kTables = 4000;
  std::mt19937_64 random(6);
  std::uniform_real_distribution<double> uniform;
  for (const auto& [items, gain, loss] :
       {std::tuple{20, .1, .1}, {50, .02, .02}, {100, .1, .05}, {500, .03, .03}, {500, .02, .06}}) {
    int covered = 0, found = 0;
    for (int t = 0; t < kTables; ++t) {
      int gained = 0, lost = 0;
      for (int i = 0; i < items; ++i) {
        const double u = uniform(random);
        gained += u < gain;
        lost += u >= gain && u < gain + loss;
      }
      const Estimate e = mcnemar(gained, lost, items);
      covered += e.low <= gain - loss && gain - loss <= e.high;
      found += e.p < 0.05;
    }
    EXPECT_GE(covered / double{kTables}, 0.94 - error_of(0.95, kTables)) << items << " " << gain;
    if (gain != loss) continue;
    EXPECT_LE(found / double{kTables}, 0.05 + error_of(0.05, kTables)) << items;
  }
}

/// Skewed and heavy as differences of NLL are, of mean 0.2.
double nll_difference(std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  std::exponential_distribution<double> size;
  std::uniform_real_distribution<double> uniform;
  return size(random) * normal(random) + (uniform(random) < 0.1 ? 2 * size(random) : 0);
}

TEST(Bootstrap, CoversWhatItSays) {
  constexpr int kTables = 1500;
  std::mt19937_64 random(7);
  for (const int items : {20, 50, 300}) {
    int covered = 0;
    for (int t = 0; t < kTables; ++t) {
      std::vector<double> column(items);
      for (double& one : column) one = nll_difference(random);
      const Estimate e = bootstrap({column}, static_cast<uint64_t>(t), 400)[0];
      covered += e.low <= 0.2 && 0.2 <= e.high;
    }
    // of so skewed a mean, 20 rows cover 93 to 94 %
    EXPECT_NEAR(covered / double{kTables}, 0.95, error_of(0.95, kTables) + (items < 50 ? .02 : .01)) << items;
  }
}

TEST(Bootstrap, ItsPSaysWhatItsIntervalSays) {
  constexpr int kTables = 2000;
  std::mt19937_64 random(8);
  int found = 0, disagree = 0;
  for (int t = 0; t < kTables; ++t) {
    std::vector<double> column(60);
    for (double& one : column) one = nll_difference(random) - 0.2;
    const Estimate e = bootstrap({column}, static_cast<uint64_t>(t), 399)[0];
    found += e.p < 0.05;
    disagree += (e.p < 0.05) != (e.low > 0 || e.high < 0);
  }
  EXPECT_NEAR(found / double{kTables}, 0.05, error_of(0.05, kTables) + 0.01);
  EXPECT_LE(disagree, kTables / 100);  // where the share and the order statistic round apart
}

TEST(Bootstrap, ResamplesColumnsTogetherAndBySeed) {
  std::mt19937_64 random(9);
  Table columns(2, std::vector<double>(101));
  for (double& one : columns[0]) one = nll_difference(random);
  for (size_t i = 0; i < 101; ++i) columns[1][i] = 2 * columns[0][i] + 1;
  const std::vector<Estimate> e = bootstrap(columns, 1, 500);
  EXPECT_NEAR(e[1].low, 2 * e[0].low + 1, 1e-12);
  EXPECT_NEAR(e[1].se, 2 * e[0].se, 1e-12);
  EXPECT_EQ(bootstrap(columns, 1, 500)[0].low, e[0].low);
  EXPECT_NE(bootstrap(columns, 2, 500)[0].low, e[0].low);
  EXPECT_NE(bootstrap(columns, 1, 900)[0].low, e[0].low);
  set_threads(1);
  EXPECT_EQ(bootstrap(columns, 1, 500)[1].high, e[1].high);
  set_threads(0);
}

TEST(Bootstrap, EqualNumbersHaveNoVariance) {
  const std::vector<double> equal(30, 0.1), zero(30), unknown(30, kNaN);
  const std::vector<Estimate> e = bootstrap({equal, zero, unknown}, 0, 200);
  EXPECT_EQ(e[0].se, 0);
  EXPECT_EQ(e[0].low, 0.1);
  EXPECT_EQ(e[1].p, 1);
  EXPECT_TRUE(std::isnan(e[2].value));
}

// "No difference that matters" where the difference is the margin itself: one time in twenty.
TEST(Verdict, NegligibleIsWrongAtMostOneTimeInTwenty) {
  constexpr int kTables = 2000;
  std::mt19937_64 random(10);
  int wrong = 0;
  for (int t = 0; t < kTables; ++t) {
    const Estimate e = crossed(simulate(8, 400, 0.1, 0.02, 0.2, random));
    wrong += effect(e, 1, 0.1, Better::lower) == "negligible";
  }
  EXPECT_LE(wrong / double{kTables}, 0.05 + error_of(0.05, kTables));
  EXPECT_GE(wrong / double{kTables}, 0.02);
}

}  // namespace
}  // namespace labelsmooth
