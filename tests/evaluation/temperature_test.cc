// SPDX-License-Identifier: MIT
#include "evaluation/temperature.h"

#include <gtest/gtest.h>

#include <cmath>   // std::exp, std::log, std::sqrt
#include <limits>  // std::numeric_limits
#include <random>  // std::mt19937
#include <vector>  // std::vector

#include "labelsmooth/tensor.h"  // Error

namespace labelsmooth {
namespace {

struct Sample {
  std::vector<float> logits;
  std::vector<int64_t> labels;
  int64_t classes;
};

/// Normal logits, and labels drawn from softmax(logits / temperature).
Sample sample(int64_t rows, int64_t classes, double temperature, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  Sample result{{}, {}, classes};
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<double> weights;
    for (int64_t k = 0; k < classes; ++k) {
      result.logits.push_back(normal(random));
      weights.push_back(std::exp(result.logits.back() / temperature));
    }
    result.labels.push_back(std::discrete_distribution<int64_t>(weights.begin(), weights.end())(random));
  }
  return result;
}

Temperature fit(const Sample& s) { return fit_temperature(s.logits, s.labels, s.classes); }

double naive_nll(const Sample& s, double temperature) {
  long double sum = 0;
  for (size_t i = 0; i < s.labels.size(); ++i) {
    const float* z = &s.logits[i * s.classes];
    long double norm = 0;
    for (int64_t k = 0; k < s.classes; ++k) norm += std::exp(static_cast<long double>(z[k]) / temperature);
    sum += std::log(norm) - static_cast<long double>(z[s.labels[i]]) / temperature;
  }
  return static_cast<double>(sum / s.labels.size());
}

double golden_section(const Sample& s, double low, double high) {  // in log T
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  while (high - low > 1e-9) {
    const double a = high - ratio * (high - low), b = low + ratio * (high - low);
    if (naive_nll(s, std::exp(a)) < naive_nll(s, std::exp(b))) {
      high = b;
    } else {
      low = a;
    }
  }
  return std::exp((low + high) / 2);
}

TEST(Temperature, AgreesWithAGoldenSection) {
  for (const double truth : {0.2, 0.7, 1.0, 2.5, 8.0}) {
    const Sample s = sample(300, 5, truth, 1);
    const Temperature t = fit(s);
    const double golden = golden_section(s, std::log(0.05), std::log(20));
    EXPECT_NEAR(t.temperature / golden, 1, 1e-6)
        << truth;  // a minimum is flat: sqrt of the precision of the NLL
    EXPECT_NEAR(t.nll_after, naive_nll(s, golden), 1e-13);
    EXPECT_NEAR(t.nll_before, naive_nll(s, 1), 1e-13);
    EXPECT_FALSE(t.at_bound);
  }
}

TEST(Temperature, NllEqualsEntropyAtTheOptimum) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Temperature t = fit(sample(100, 10, 1.7, seed));
    EXPECT_NEAR(t.nll_after, t.entropy_after, 1e-12);
    EXPECT_LE(t.nll_after, t.nll_before);
  }
}

TEST(Temperature, RecoversTheOneThatDrewTheLabels) {
  for (const double truth : {0.5, 2.0})
    EXPECT_NEAR(fit(sample(20000, 10, truth, 4)).temperature, truth, 0.04 * truth);
}

TEST(Temperature, ScalesWithTheLogits) {
  Sample s = sample(200, 4, 1, 2);
  const double t = fit(s).temperature;
  for (float& z : s.logits) z *= 8;
  EXPECT_NEAR(fit(s).temperature, 8 * t, 1e-11);
}

TEST(Temperature, AlwaysRightOrAlwaysWrongStopsAtTheBound) {
  const Sample right{{3, 0, 0, 2}, {0, 1}, 2}, wrong{{3, 0, 0, 2}, {1, 0}, 2};
  EXPECT_EQ(fit(right).temperature, kLeastTemperature);
  EXPECT_TRUE(fit(right).at_bound);
  EXPECT_EQ(fit(wrong).temperature, kMostTemperature);
  EXPECT_TRUE(fit(wrong).at_bound);
}

TEST(Temperature, JustInsideTheBoundsIsNotAtThem) {
  // Three of four rows right at a gap g: the optimum has log odds g / T = log 3.
  for (const double t : {0.051, 19.9}) {
    const auto g = static_cast<float>(t * std::log(3.0));
    const Temperature inside = fit({{g, 0, g, 0, g, 0, g, 0}, {0, 0, 0, 1}, 2});
    EXPECT_NEAR(inside.temperature, t, 1e-6 * t);
    EXPECT_FALSE(inside.at_bound);
  }
  for (const double t : {0.049, 20.1}) {
    const auto g = static_cast<float>(t * std::log(3.0));
    EXPECT_TRUE(fit({{g, 0, g, 0, g, 0, g, 0}, {0, 0, 0, 1}, 2}).at_bound);
  }
}

TEST(Temperature, WhereNothingDependsOnItItIsOne) {
  for (const Sample& s : {Sample{{4, -2}, {0, 0}, 1}, Sample{{7, 7, 7, -1, -1, -1}, {2, 0}, 3}}) {
    EXPECT_EQ(fit(s).temperature, 1);
    EXPECT_FALSE(fit(s).at_bound);
    EXPECT_NEAR(fit(s).nll_after, std::log(static_cast<double>(s.classes)), 1e-15);
  }
}

TEST(Temperature, HugeLogits) {
  const Temperature t = fit({{1e4, -1e4, 1e4, -1e4, 1e4, -1e4}, {0, 0, 1}, 2});
  EXPECT_EQ(t.temperature, kMostTemperature);
  EXPECT_TRUE(t.at_bound);
  EXPECT_NEAR(t.nll_after, 2e4 / 20 / 3, 1e-9);
}

TEST(Temperature, ARuledOutClassAddsNothing) {
  const float inf = std::numeric_limits<float>::infinity();
  const Temperature two = fit({{1, 0, 1, 0, 1, 0}, {0, 0, 1}, 2});
  const Temperature three = fit({{1, 0, -inf, 1, 0, -inf, 1, 0, -inf}, {0, 0, 1}, 3});
  EXPECT_EQ(two.temperature, three.temperature);
  EXPECT_EQ(two.entropy_after, three.entropy_after);
}

TEST(Temperature, RefusesAnEmptySet) { EXPECT_THROW(fit({{}, {}, 3}), Error); }

}  // namespace
}  // namespace labelsmooth
