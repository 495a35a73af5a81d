// SPDX-License-Identifier: MIT
#include "evaluation/crossfit.h"

#include <gtest/gtest.h>

#include <cmath>   // std::abs
#include <limits>  // std::numeric_limits
#include <random>  // std::mt19937_64

#include "evaluation/temperature.h"
#include "labelsmooth/parallel.h"  // set_threads

namespace labelsmooth {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Data {
  int64_t classes;
  std::vector<float> logits;
  std::vector<int64_t> labels;

  LogitBlocks blocks() const {
    return {classes, [this](int64_t begin, int64_t end, std::vector<double>&) {
              return Logits(logits.data() + begin * classes, end - begin, classes);
            }};
  }
  /// The rows of which `keep` is true.
  template <class Keep>
  Data only(const Keep& keep) const {
    Data part = {classes, {}, {}};
    for (size_t i = 0; i < labels.size(); ++i) {
      if (!keep(i)) continue;
      part.labels.push_back(labels[i]);
      part.logits.insert(part.logits.end(), logits.begin() + static_cast<int64_t>(i) * classes,
                         logits.begin() + (static_cast<int64_t>(i) + 1) * classes);
    }
    return part;
  }
};

Data random_data(int64_t rows, int64_t classes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  Data data = {classes, std::vector<float>(rows * classes), std::vector<int64_t>(rows)};
  for (float& z : data.logits) z = 3 * normal(random);
  for (int64_t i = 0; i < rows; ++i) {
    data.labels[i] = static_cast<int64_t>(random() % static_cast<uint64_t>(classes));
    data.logits[i * classes + data.labels[i]] += 3;
    const int64_t k = (data.labels[i] + 1) % classes;
    if (i % 17 == 3) data.logits[i * classes + k] = -kInf;
  }
  return data;
}

TEST(CrossFit, FoldsAreBalancedRandomAndSeeded) {
  for (const int64_t rows : {20, 23, 1000}) {
    const std::vector<uint8_t> folds = random_folds(rows, 1);
    std::vector<int64_t> count(kFolds);
    for (const uint8_t fold : folds) ++count.at(fold);
    for (const int64_t n : count) EXPECT_TRUE(n == rows / kFolds || n == rows / kFolds + 1) << n;
    EXPECT_EQ(folds, random_folds(rows, 1));
    EXPECT_NE(folds, random_folds(rows, 2));
  }
}

// The fit is another program than fit_temperature's: it has no formula of its own.
TEST(CrossFit, IsTheFitOfTheOtherFolds) {
  for (const int64_t classes : {2, 10, 400}) {
    const Data data = random_data(3001, classes, 3);
    const std::vector<uint8_t> folds = random_folds(3001, 7);
    const Scaling scaling = cross_fit(data.blocks(), data.labels, folds);
    ASSERT_EQ(scaling.temperatures.size(), kFolds);
    EXPECT_FALSE(scaling.at_bound);
    for (int f = 0; f < kFolds; ++f) {
      const Data others = data.only([&](size_t i) { return folds[i] != f; });
      const double t = fit_temperature(others.logits, others.labels, classes).temperature;
      EXPECT_NEAR(scaling.temperatures[f] / t, 1, 1e-9) << classes;
    }
    const double all = fit_temperature(data.logits, data.labels, classes).temperature;
    const Scaling plain = fit_all(data.blocks(), data.labels);
    ASSERT_EQ(plain.temperatures.size(), 1u);
    EXPECT_NEAR(plain.temperatures[0] / all, 1, 1e-9);
  }
}

TEST(CrossFit, ARowDoesNotMoveItsOwnTemperature) {
  Data data = random_data(100, 4, 5);
  const std::vector<uint8_t> folds = random_folds(100, 0);
  const Scaling before = cross_fit(data.blocks(), data.labels, folds);
  data.logits[7 * 4] = 60;
  data.labels[7] = 1;
  const Scaling after = cross_fit(data.blocks(), data.labels, folds);
  for (int f = 0; f < kFolds; ++f) {
    if (f == folds[7]) {
      EXPECT_EQ(before.temperatures[f], after.temperatures[f]);
    } else {
      EXPECT_LT(before.temperatures[f], after.temperatures[f]);
    }
  }
}

TEST(CrossFit, EvaluatesEachRowAtItsFoldsTemperature) {
  for (const int64_t classes : {3, 300}) {
    const Data data = random_data(2003, classes, 6);
    const std::vector<uint8_t> folds = random_folds(2003, 1);
    const std::vector<double> temperatures = {0.5, 1, 2, 3, 4};
    const Items items = evaluate(data.blocks(), data.labels, folds, temperatures);
    std::vector<Items> at;
    for (const double t : temperatures) at.push_back(evaluate(data.logits, data.labels, classes, t));
    for (size_t i = 0; i < folds.size(); ++i) {
      const Items& own = at[folds[i]];
      ASSERT_EQ(items.correct[i], own.correct[i]);
      ASSERT_EQ(items.nll[i], own.nll[i]);
      ASSERT_EQ(items.brier[i], own.brier[i]);
      ASSERT_EQ(items.confidence[i], own.confidence[i]);
      ASSERT_EQ(items.score[i], own.score[i]);
      ASSERT_EQ(items.predicted[i], own.predicted[i]);
    }
    const Items plain = evaluate(data.blocks(), data.labels, {}, {2});
    EXPECT_EQ(plain.nll, at[2].nll);
  }
}

// Logits that f32 would round by 3e-5 about 1000: it would miss the fit of what they differ by.
TEST(CrossFit, ReadsF64AsItIs) {
  const Data data = random_data(500, 6, 9);
  std::vector<double> exact(data.logits.size());
  for (size_t i = 0; i < exact.size(); ++i) exact[i] = 1000 + data.logits[i] * (1 + 1e-9);
  const auto blocks = [&](const auto& logits) -> LogitBlocks {
    return {data.classes, [&logits, &data](int64_t begin, int64_t end, std::vector<double>&) {
              return Logits(logits.data() + begin * data.classes, end - begin, data.classes);
            }};
  };
  const double narrow = fit_all(data.blocks(), data.labels).temperatures[0];
  EXPECT_NEAR(fit_all(blocks(exact), data.labels).temperatures[0] / narrow - 1, 1e-9, 1e-11);
  const std::vector<float> rounded(exact.begin(), exact.end());
  EXPECT_GT(std::abs(fit_all(blocks(rounded), data.labels).temperatures[0] / narrow - 1), 1e-8);
}

// From steep and from shallow starts alike, and where the optimum is all but at a bound.
TEST(CrossFit, FindsAnyTemperatureWithinTheBounds) {
  for (const float scale : {0.06f, 0.3f, 1.f, 4.f, 15.f}) {
    Data data = random_data(300, 5, 11);
    const double own = fit_temperature(data.logits, data.labels, 5).temperature;
    for (float& z : data.logits) z *= scale / static_cast<float>(own);
    const double expected = fit_temperature(data.logits, data.labels, 5).temperature;
    const Scaling found = fit_all(data.blocks(), data.labels);
    EXPECT_NEAR(found.temperatures[0] / expected, 1, 1e-12) << scale;
    EXPECT_FALSE(found.at_bound);
  }
}

TEST(CrossFit, BoundsAndFlatLogits) {
  const Data right = {2, {3, 0, 0, 3, 3, 0, 0, 3}, {0, 1, 0, 1}};
  EXPECT_EQ(fit_all(right.blocks(), right.labels).temperatures[0], kLeastTemperature);
  EXPECT_TRUE(fit_all(right.blocks(), right.labels).at_bound);
  const Data wrong = {2, right.logits, {1, 0, 1, 0}};
  EXPECT_EQ(fit_all(wrong.blocks(), wrong.labels).temperatures[0], kMostTemperature);
  const Data flat = {2, {1, 1, 1, 1}, {0, 1}};
  EXPECT_EQ(fit_all(flat.blocks(), flat.labels).temperatures[0], 1);
  EXPECT_FALSE(fit_all(flat.blocks(), flat.labels).at_bound);
}

TEST(CrossFit, SameBitsForAnyNumberOfThreads) {
  const Data data = random_data(20000, 50, 8);
  const std::vector<uint8_t> folds = random_folds(20000, 1);
  set_threads(1);
  const Scaling one = cross_fit(data.blocks(), data.labels, folds);
  set_threads(3);
  const Scaling three = cross_fit(data.blocks(), data.labels, folds);
  EXPECT_EQ(one.temperatures, three.temperatures);
  EXPECT_EQ(evaluate(data.blocks(), data.labels, folds, one.temperatures).nll,
            (set_threads(1), evaluate(data.blocks(), data.labels, folds, one.temperatures).nll));
  set_threads(0);
}

}  // namespace
}  // namespace labelsmooth
