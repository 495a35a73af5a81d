// SPDX-License-Identifier: MIT
#include "labelsmooth/calibration.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>    // std::abs, std::exp, std::log, std::isnan
#include <cstring>  // std::memcpy
#include <limits>   // std::numeric_limits
#include <random>   // std::mt19937
#include <vector>   // std::vector

#include "error_of.h"
#include "half.h"
#include "labelsmooth/parallel.h"

namespace labelsmooth {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Two classes with the given probability of class 0, which is right where `correct`.
struct TwoClasses {
  std::vector<double> logits;
  std::vector<int> labels;

  void add(double p, bool correct) {
    logits.insert(logits.end(), {std::log(p), std::log1p(-p)});
    labels.push_back(correct ? 0 : 1);
  }
  Logits view() const { return {logits.data(), static_cast<int64_t>(labels.size()), 2}; }
};

/// `rows` of `classes` whose labels are drawn from softmax(z / temperature).
struct Drawn {
  std::vector<double> logits;
  std::vector<int64_t> labels;
  int64_t classes;

  Drawn(int64_t rows, int64_t classes, double temperature, uint32_t seed) : classes(classes) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0, 2);
    for (int64_t i = 0; i < rows; ++i) {
      std::vector<double> weight;
      for (int64_t k = 0; k < classes; ++k) {
        logits.push_back(normal(random));
        weight.push_back(std::exp(logits.back() / temperature));
      }
      labels.push_back(std::discrete_distribution<int64_t>(weight.begin(), weight.end())(random));
    }
  }
  Logits view() const { return {logits.data(), static_cast<int64_t>(labels.size()), classes}; }
};

/// Mean NLL of softmax(z / T), in long double.
double nll_at(const Drawn& set, double temperature) {
  long double sum = 0;
  for (size_t i = 0; i < set.labels.size(); ++i) {
    const double* z = set.logits.data() + i * set.classes;
    long double norm = 0;
    for (int64_t k = 0; k < set.classes; ++k)
      norm += std::exp(static_cast<long double>(z[k] - z[set.labels[i]]) / temperature);
    sum += std::log(norm);
  }
  return static_cast<double>(sum / set.labels.size());
}

TEST(CalibrationStats, HoldsWhatTheBinsOfADivisorNeed) {
  TwoClasses set;
  for (const auto& [p, correct] : {std::pair{0.95, true}, {0.951, false}, {0.62, true}, {0.99, true}})
    set.add(p, correct);
  CalibrationStats stats;
  stats.add(set.view(), set.labels);
  EXPECT_EQ(stats.counted(), 4);
  EXPECT_DOUBLE_EQ(stats.accuracy(), 0.75);
  EXPECT_NEAR(stats.confidence(), (0.95 + 0.951 + 0.62 + 0.99) / 4, 1e-15);
  EXPECT_NEAR(stats.gap(), stats.confidence() - 0.75, 1e-15);
  EXPECT_NEAR(stats.nll(), -(std::log(0.95) + std::log(0.049) + std::log(0.62) + std::log(0.99)) / 4, 1e-14);
  EXPECT_NEAR(stats.brier(), 2 * (0.05 * 0.05 + 0.951 * 0.951 + 0.38 * 0.38 + 0.01 * 0.01) / 4, 1e-15);
  const double high = std::abs(0.95 + 0.951 + 0.99 - 2), low = 0.38;
  EXPECT_NEAR(stats.ece(10), (high + low) / 4, 1e-15);
  EXPECT_NEAR(stats.max_error(10), low, 1e-15);
  EXPECT_NEAR(stats.rms_error(10), std::sqrt((high * high / 3 + low * low) / 4), 1e-15);
  const std::vector<ReliabilityBin> bins = stats.reliability(10);
  EXPECT_EQ(bins[9].count, 3);
  EXPECT_EQ(bins[6].count, 1);
  EXPECT_TRUE(std::isnan(bins[0].accuracy));
  EXPECT_EQ(error_of([&] { stats.reliability(7); }), "bins: 7 found, divisors of 3840 are allowed");
}

TEST(CalibrationStats, AConfidenceOfOneAndEqualLogits) {
  // torchmetrics#3510, with a certain row
  const std::vector<double> logits = {std::log(0.95), std::log(0.05), 0, -kInf};
  CalibrationStats stats;
  stats.add({logits.data(), 2, 2}, std::vector<int>{0, 1});
  EXPECT_NEAR(stats.ece(10), 0.475, 1e-15);
  EXPECT_EQ(stats.nll(), kInf);
  // five equal logits: exactly .2, the lower edge of a bin of ten
  CalibrationStats equal;
  equal.add({std::vector<float>(5, 3.f).data(), 1, 5}, std::vector<int>{0});
  EXPECT_EQ(equal.reliability(10)[2].count, 1);
}

TEST(CalibrationStats, AnyTypeAndStride) {
  const Drawn set(200, 6, 1, 1);
  std::vector<float> narrow(set.logits.begin(), set.logits.end());
  std::vector<bf16> halves(narrow.size());
  for (size_t i = 0; i < narrow.size(); ++i) {
    labelsmooth::narrow(narrow[i], halves[i]);
    narrow[i] = widen(halves[i]);
  }
  CalibrationStats of_floats, of_halves, of_columns;
  of_floats.add({narrow.data(), 200, 6}, set.labels);
  of_halves.add({halves.data(), 200, 6}, set.labels);
  std::vector<float> columns(narrow.size());
  for (int i = 0; i < 200; ++i) {
    for (int k = 0; k < 6; ++k) columns[k * 200 + i] = narrow[i * 6 + k];
  }
  of_columns.add(Logits(columns.data(), 1, 6, 200), set.labels);
  EXPECT_EQ(of_floats.flat(), of_halves.flat());
  EXPECT_EQ(of_floats.flat(), of_columns.flat());
}

TEST(CalibrationStats, ScaleIsOneOverTheTemperature) {
  const Drawn set(300, 4, 1, 2);
  std::vector<double> divided = set.logits;
  for (double& z : divided) z /= 2;
  CalibrationStats scaled, plain;
  scaled.add(set.view(), set.labels, {.scale = 0.5});
  plain.add({divided.data(), 300, 4}, set.labels);
  EXPECT_NEAR(scaled.nll(), plain.nll(), 1e-14);
  EXPECT_NEAR(scaled.brier(), plain.brier(), 1e-14);
  EXPECT_NEAR(scaled.entropy(), plain.entropy(), 1e-14);
  EXPECT_NEAR(scaled.ece(), plain.ece(), 1e-14);
}

RC_GTEST_PROP(CalibrationStats, ShardsAreTheWhole, ()) {
  const auto seed = *rc::gen::arbitrary<uint32_t>();
  const auto rows = *rc::gen::inRange<int64_t>(1, 300);
  const Drawn set(rows, *rc::gen::inRange<int64_t>(1, 7), 1, seed);
  std::mt19937 random(seed);
  CalibrationStats whole, merged;
  whole.add(set.view(), set.labels);
  std::vector<double> summed(CalibrationStats::kFlatSize);
  for (int64_t begin = 0; begin < rows;) {
    const auto size = std::uniform_int_distribution<int64_t>(0, rows - begin)(random);  // empty ones too
    CalibrationStats shard;
    shard.add({set.logits.data() + begin * set.classes, size, set.classes},
              std::vector<int64_t>(set.labels.begin() + begin, set.labels.begin() + begin + size));
    merged.merge(CalibrationStats::from_bytes(shard.to_bytes()));
    const std::vector<double> flat = shard.flat();
    for (size_t i = 0; i < flat.size(); ++i) summed[i] += flat[i];
    begin += size;
  }
  for (const CalibrationStats& sum : {merged, CalibrationStats::from_flat(summed)}) {
    RC_ASSERT(sum.counted() == whole.counted());
    RC_ASSERT(sum.accuracy() == whole.accuracy());
    for (const int bins : {10, 15, 20}) {
      RC_ASSERT(std::abs(sum.ece(bins) - whole.ece(bins)) < 1e-14);
      for (int b = 0; b < bins; ++b) {
        RC_ASSERT(sum.reliability(bins)[b].count == whole.reliability(bins)[b].count);
        const double a = sum.reliability(bins)[b].accuracy, c = whole.reliability(bins)[b].accuracy;
        RC_ASSERT(a == c || (std::isnan(a) && std::isnan(c)));
      }
    }
    RC_ASSERT(std::abs(sum.nll() - whole.nll()) < 1e-13);
    RC_ASSERT(std::abs(sum.brier() - whole.brier()) < 1e-13);
    RC_ASSERT(std::abs(sum.entropy() - whole.entropy()) < 1e-13);
    if (rows > 1) RC_ASSERT(std::abs(sum.gap_error() - whole.gap_error()) < 1e-12);
  }
}

TEST(CalibrationStats, TheSameBitsForAnyNumberOfThreads) {
  const Drawn set(3000, 50, 1, 3);
  std::vector<std::vector<double>> all;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    CalibrationStats stats;
    stats.add(set.view(), set.labels);
    all.push_back(stats.flat());
  }
  set_threads(0);
  EXPECT_EQ(all[0], all[1]);
  EXPECT_EQ(all[0], all[2]);
}

TEST(CalibrationStats, RefusesAndThenHoldsWhatItHeld) {
  const std::vector<double> bad = {1, 2, 3, kNaN};
  CalibrationStats stats;
  const std::vector<double> empty = stats.flat();
  EXPECT_EQ(error_of([&] { stats.add({bad.data(), 2, 2}, std::vector<int>{0, 1}); }),
            "logits: row 1 holds NaN or +inf, or -inf alone; finite logits and some at -inf are allowed");
  EXPECT_EQ(stats.flat(), empty);
  stats.add({bad.data(), 2, 2}, std::vector<int>{0, -100});  // an ignored row is not read
  EXPECT_EQ(stats.counted(), 1);
  EXPECT_NE(error_of([&] { stats.add({bad.data(), 2, 2}, std::vector<int>{0, 2}); }).find("row 1 has 2"),
            std::string::npos);

  EXPECT_TRUE(std::isnan(CalibrationStats().ece()));
  EXPECT_TRUE(std::isnan(CalibrationStats().accuracy()));
  std::vector<double> flat = stats.flat();
  EXPECT_EQ(error_of([&] { CalibrationStats::from_flat(std::vector<double>(3)); }),
            "flat: 3 values found, 11530 are needed");
  flat[5] = 0.5;
  EXPECT_NE(error_of([&] { CalibrationStats::from_flat(flat); }), "");
  flat[5] = 1;
  EXPECT_NE(error_of([&] { CalibrationStats::from_flat(flat); }).find("do not add up"), std::string::npos);
  std::vector<std::byte> bytes = stats.to_bytes();
  EXPECT_EQ(CalibrationStats::from_bytes(bytes).flat(), stats.flat());
  bytes[7] = std::byte{'2'};
  EXPECT_NE(error_of([&] { CalibrationStats::from_bytes(bytes); }).find("version 1"), std::string::npos);
}

// ---- Temperature ----

TEST(FitTemperature, IsWhereNllEqualsEntropy) {
  for (const double truth : {0.3, 1.0, 2.5}) {
    const Drawn set(4000, 10, truth, 4);
    const TemperatureFit fit = fit_temperature(set.view(), set.labels, {});
    EXPECT_NEAR(fit.nll_after, fit.entropy_after, 1e-12);
    EXPECT_NEAR(fit.temperature, truth, 0.15 * truth);
    EXPECT_LT(fit.low, fit.temperature);
    EXPECT_GT(fit.high, fit.temperature);
    EXPECT_FALSE(fit.at_bound);
    EXPECT_NEAR(fit.nll_before, nll_at(set, 1), 1e-13);
    EXPECT_NEAR(fit.nll_after, nll_at(set, fit.temperature), 1e-13);
  }
}

// Where the value of the NLL has its least, to half of its digits.
TEST(FitTemperature, IsTheLeastOfTheNll) {
  const Drawn set(500, 5, 1.7, 5);
  double low = 0.05, high = 20;
  const double golden = (std::sqrt(5.0) - 1) / 2;
  for (int step = 0; step < 100; ++step) {
    const double a = high - golden * (high - low), b = low + golden * (high - low);
    if (nll_at(set, a) < nll_at(set, b)) {
      high = b;
    } else {
      low = a;
    }
  }
  EXPECT_NEAR(fit_temperature(set.view(), set.labels, {}).temperature, low, 1e-6);
}

TEST(FitTemperature, AtABoundForSeparableSets) {
  const std::vector<float> logits = {3, 0, 0, 2, 5, 1};
  const TemperatureFit right = fit_temperature({logits.data(), 3, 2}, std::vector<int>{0, 1, 0}, {});
  EXPECT_DOUBLE_EQ(right.temperature, 1.0 / 20);
  EXPECT_TRUE(right.at_bound);
  EXPECT_TRUE(std::isnan(right.low));
  const TemperatureFit wrong = fit_temperature({logits.data(), 3, 2}, std::vector<int>{1, 0, 1}, {});
  EXPECT_DOUBLE_EQ(wrong.temperature, 20);
  EXPECT_TRUE(wrong.at_bound);
  EXPECT_TRUE(std::isnan(wrong.high));
  EXPECT_DOUBLE_EQ(
      fit_temperature({logits.data(), 3, 2}, std::vector<int>{0, 1, 0}, {.least = 0.5}).temperature, 0.5);
}

TEST(FitTemperature, OneWhereItSaysNothing) {
  const std::vector<float> equal(6, 2.f);
  for (const int64_t classes : {1, 3}) {
    const std::vector<int> labels(static_cast<size_t>(6 / classes), 0);
    const TemperatureFit fit = fit_temperature({equal.data(), 6 / classes, classes}, labels, {});
    EXPECT_EQ(fit.temperature, 1);
    EXPECT_FALSE(fit.at_bound);
    EXPECT_TRUE(std::isnan(fit.low));
  }
}

TEST(FitTemperature, HardLogitsAndIgnoredRows) {
  const std::vector<double> logits = {1e4, 0, -kInf, 0, 1e4, 1, 2, 1, 0, kNaN, kNaN, kNaN, 0, 1, 0.5};
  const TemperatureFit fit =
      fit_temperature({logits.data(), 5, 3}, std::vector<int>{0, 0, 1, -100, 1}, {.most = 1e6});
  EXPECT_EQ(fit.counted, 4);
  EXPECT_NEAR(fit.nll_after, fit.entropy_after, 1e-11);
}

TEST(FitTemperature, Refuses) {
  const std::vector<double> logits = {1, -kInf, 2, 0, kNaN, 1};
  const auto refused = [&](std::vector<int> labels, TemperatureOptions options = {}) {
    return error_of([&] { fit_temperature({logits.data(), 3, 2}, labels, options); });
  };
  EXPECT_EQ(refused({1, 0, -100}), "logits: row 0 has -inf for its label, a finite logit is needed");
  EXPECT_NE(refused({0, 0, 0}).find("row 2 holds NaN"), std::string::npos);
  EXPECT_EQ(refused({-100, -100, -100}), "labels: no row counts, at least one is needed");
  EXPECT_NE(refused({0, 2, 0}).find("row 1 has 2"), std::string::npos);
  EXPECT_NE(refused({0, 0, -100}, {.least = 2, .most = 1}), "");
}

// 95 % within four binomial errors of 400 sets; the model is wrong here too (the truth has two temperatures),
// where the inverse information alone would not do.
TEST(FitTemperature, IntervalCovers) {
  constexpr int kSets = 400;
  int covered = 0;
  std::vector<Drawn> huge;
  Drawn truth(200'000, 3, 1, 6);
  const Drawn sharp(200'000, 3, 0.3, 7);
  truth.logits.insert(truth.logits.end(), sharp.logits.begin(), sharp.logits.end());
  truth.labels.insert(truth.labels.end(), sharp.labels.begin(), sharp.labels.end());
  const double limit = fit_temperature(truth.view(), truth.labels, {}).temperature;
  for (int s = 0; s < kSets; ++s) {
    Drawn set(300, 3, 1, 100 + s);
    const Drawn other(300, 3, 0.3, 10'000 + s);
    set.logits.insert(set.logits.end(), other.logits.begin(), other.logits.end());
    set.labels.insert(set.labels.end(), other.labels.begin(), other.labels.end());
    const TemperatureFit fit = fit_temperature(set.view(), set.labels, {});
    covered += fit.low <= limit && limit <= fit.high;
  }
  EXPECT_NEAR(covered, 0.95 * kSets, 4 * std::sqrt(0.95 * 0.05 * kSets));
}

}  // namespace
}  // namespace labelsmooth
