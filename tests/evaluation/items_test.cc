// SPDX-License-Identifier: MIT
#include "evaluation/items.h"

#include <gtest/gtest.h>

#include <cmath>    // std::exp, std::log, std::log1p, std::isinf
#include <limits>   // std::numeric_limits
#include <random>   // std::mt19937
#include <string>   // std::string
#include <utility>  // std::pair
#include <vector>   // std::vector

namespace labelsmooth {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

std::vector<long double> softmax(const float* z, int64_t classes, double temperature) {
  std::vector<long double> p;
  long double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(static_cast<long double>(z[k]) / temperature);
  for (int64_t k = 0; k < classes; ++k)
    p.push_back(std::exp(static_cast<long double>(z[k]) / temperature) / sum);
  return p;
}

TEST(Items, AgreeWithTheDefinitionsInLongDouble) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 4);
  for (const int64_t classes : {1, 2, 3, 10, 37}) {
    for (const double temperature : {0.5, 1.0, 3.0}) {
      constexpr int64_t kRows = 50;
      std::vector<float> logits(kRows * classes);
      std::vector<int64_t> labels(kRows);
      for (float& z : logits) z = normal(random);
      for (int64_t& y : labels) y = random() % classes;
      const Items items = evaluate(logits, labels, classes, temperature);
      for (int64_t i = 0; i < kRows; ++i) {
        const std::vector<long double> p = softmax(&logits[i * classes], classes, temperature);
        int64_t top = 0;
        long double brier = 0, others = 0;
        for (int64_t k = 0; k < classes; ++k) {
          if (p[k] > p[top]) top = k;
          brier += (p[k] - (k == labels[i])) * (p[k] - (k == labels[i]));
        }
        for (int64_t k = 0; k < classes; ++k) others += k == top ? 0 : p[k];
        EXPECT_EQ(items.predicted[i], top);
        EXPECT_EQ(items.correct[i], top == labels[i]);
        EXPECT_NEAR(items.nll[i], static_cast<double>(-std::log(p[labels[i]])), 1e-13);
        EXPECT_NEAR(items.brier[i], static_cast<double>(brier), 1e-14);
        EXPECT_NEAR(items.confidence[i], static_cast<double>(p[top]), 1e-15);
        if (classes > 1) {
          EXPECT_NEAR(items.score[i], static_cast<double>(-std::log(others)), 1e-13);
        }
      }
    }
  }
}

TEST(Items, BinaryNllAndBrierOfFixtureF1) {
  std::vector<float> logits;
  std::vector<int64_t> labels;
  for (int i = 0; i < 1000; ++i) {
    const double c = (i + 0.5) / 1000;
    logits.insert(logits.end(), {0, static_cast<float>(std::log(c / (1 - c)))});
    labels.push_back((7919 * i) % 1009 / 1009.0 < c * c);
  }
  const Items items = evaluate(logits, labels, 2);
  // the logits are rounded to float, 2^-24 of at most 7.6
  EXPECT_NEAR(mean(items.nll), 0.502763236691, 1e-7);
  EXPECT_NEAR(mean(items.brier) / 2, 0.16636025, 1e-7);  // the binary Brier score counts one class of the two
}

TEST(Items, SaturatedRowsStillRank) {
  const std::vector<float> logits = {0, 40, 0, 100, 0, 200, -1e4, 1e4};
  const std::vector<int64_t> labels = {1, 1, 1, 1};
  const Items items = evaluate(logits, labels, 2);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(items.confidence[i], 1);
  EXPECT_DOUBLE_EQ(items.score[0], 40);
  EXPECT_DOUBLE_EQ(items.score[1], 100);
  EXPECT_DOUBLE_EQ(items.score[2], 200);
  EXPECT_DOUBLE_EQ(items.score[3], 2e4);
  EXPECT_DOUBLE_EQ(items.nll[1], std::exp(-100.0));  // not lost in log(1 - 4e-44)
  EXPECT_DOUBLE_EQ(evaluate(logits, labels, 2, 0.05).score[3], 4e5);
}

TEST(Items, SaturatedAndWrong) {
  const Items items = evaluate(std::vector<float>{-1e4, 1e4}, std::vector<int64_t>{0}, 2);
  EXPECT_EQ(items.nll[0], 2e4);
  EXPECT_EQ(items.brier[0], 2);
  EXPECT_EQ(items.correct[0], 0);
}

TEST(Items, TiesGoToTheLowestClass) {
  const Items items = evaluate(std::vector<float>{-1, 3, 3, 2, 2, 2}, std::vector<int64_t>{2, 0}, 3);
  EXPECT_EQ(items.predicted, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(items.correct, (std::vector<double>{0, 1}));
  EXPECT_DOUBLE_EQ(items.confidence[1], 1 / 3.0);
  EXPECT_DOUBLE_EQ(items.score[1], std::log(1.5));
}

TEST(Items, AShiftOfTheLogitsChangesNothing) {
  const std::vector<float> logits = {0.5, -2, 3.25, 1, 1, -7};
  std::vector<float> shifted = logits;
  for (float& z : shifted) z += 8192;  // exact in float
  const std::vector<int64_t> labels = {1, 2};
  const Items a = evaluate(logits, labels, 3), b = evaluate(shifted, labels, 3);
  EXPECT_EQ(a.nll, b.nll);
  EXPECT_EQ(a.brier, b.brier);
  EXPECT_EQ(a.score, b.score);
}

TEST(Items, OneClass) {
  const Items items = evaluate(std::vector<float>{-3}, std::vector<int64_t>{0}, 1);
  EXPECT_EQ(items.confidence[0], 1);
  EXPECT_EQ(items.nll[0], 0);
  EXPECT_EQ(items.brier[0], 0);
  EXPECT_EQ(items.score[0], std::numeric_limits<double>::infinity());
}

TEST(Items, ARuledOutClassHasProbabilityZero) {
  const Items items =
      evaluate(std::vector<float>{1, -kInf, 2, -kInf, 5, -kInf}, std::vector<int64_t>{0, 1}, 3);
  EXPECT_DOUBLE_EQ(items.nll[0], std::log1p(std::exp(1.0)));
  EXPECT_DOUBLE_EQ(items.brier[0], 2 * std::pow(1 / (1 + std::exp(-1.0)), 2));
  EXPECT_EQ(items.confidence[1], 1);
  EXPECT_EQ(items.nll[1], 0);
  EXPECT_TRUE(std::isinf(items.score[1]));
}

/// The argument and row that evaluate blames, {"", -1} if none.
std::pair<std::string, int64_t> blamed(std::vector<float> logits, std::vector<int64_t> labels,
                                       int64_t classes, double temperature = 1) {
  try {
    evaluate(logits, labels, classes, temperature);
  } catch (const Error& error) {
    return {error.argument, error.row};
  }
  return {"", -1};
}

TEST(Items, RefuseWhatHasNoMeaning) {
  using Blame = std::pair<std::string, int64_t>;
  EXPECT_EQ(blamed({1, 2}, {1}, 2), Blame("", -1));
  EXPECT_EQ(blamed({}, {}, 2), Blame("labels", -1));
  EXPECT_EQ(blamed({}, {}, 0), Blame("classes", -1));
  EXPECT_EQ(blamed({1, 2, 3}, {0}, 2), Blame("logits", -1));
  EXPECT_EQ(blamed({1, 2, 3, 4}, {0, 2}, 2), Blame("labels", 1));
  EXPECT_EQ(blamed({1, 2, 3, 4}, {-1, 0}, 2), Blame("labels", 0));
  EXPECT_EQ(blamed({1, 2, kNaN, 4}, {0, 1}, 2), Blame("logits", 1));
  EXPECT_EQ(blamed({1, kInf, 3, 4}, {0, 1}, 2), Blame("logits", 0));
  EXPECT_EQ(blamed({1, 2, -kInf, 4}, {0, 0}, 2), Blame("labels", 1));
  for (const double t : {0.0, -1.0, double{kNaN}, double{kInf}}) {
    EXPECT_EQ(blamed({1, 2}, {1}, 2, t), Blame("temperature", -1));
  }
}

}  // namespace
}  // namespace labelsmooth
