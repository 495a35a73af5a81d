// SPDX-License-Identifier: MIT
#include "evaluate/smooth_ece.h"

#include <gtest/gtest.h>

#include <cmath>    // std::abs, std::cos, std::exp
#include <numbers>  // std::numbers::pi
#include <random>   // std::mt19937
#include <vector>   // std::vector

namespace labelsmooth {
namespace {

constexpr double kPi = std::numbers::pi;

TEST(CosineSums, AreTheSums) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  for (const int n : {1, 2, 8, 64}) {
    std::vector<double> x(n + 1);
    for (double& one : x) one = normal(random);
    const std::vector<double> sums = cosine_sums(x);
    for (int m = 0; m <= n; ++m) {
      double expected = 0;
      for (int j = 0; j <= n; ++j) expected += x[j] * std::cos(kPi * m * j / n);
      EXPECT_NEAR(sums[m], expected, 1e-13 * n);
    }
  }
}

struct Row {
  double confidence, correct;
};

std::vector<double> cosines(const std::vector<Row>& rows) {
  std::vector<double> nodes(kSmoothCells + 1);
  for (const Row& row : rows) {
    const SmoothPlace place = smooth_place(row.confidence);
    const double r = (row.confidence - row.correct) / static_cast<double>(rows.size());
    nodes[place.node] += r * (1 - place.fraction);
    nodes[place.node + 1] += r * place.fraction;
  }
  return cosine_sums(nodes);
}

/// The definition: Gaussians and their images, by the midpoint rule.
double direct(const std::vector<Row>& rows, double sigma) {
  constexpr int kPoints = 20'000;
  double sum = 0;
  for (int i = 0; i < kPoints; ++i) {
    const double t = (i + 0.5) / kPoints;
    double at = 0;
    for (const Row& row : rows) {
      for (int j = -2; j <= 2; ++j) {
        for (const double x : {t - 2 * j - row.confidence, t - 2 * j + row.confidence})
          at += (row.confidence - row.correct) * std::exp(-x * x / (2 * sigma * sigma));
      }
    }
    sum += std::abs(at) / (sigma * std::sqrt(2 * kPi));
  }
  return sum / kPoints / static_cast<double>(rows.size());
}

TEST(SmoothEce, IsTheDefinition) {
  const std::vector<Row> rows = {{1, 1},    {1, 0},      {0.93, 1}, {0.5, 0},
                                 {0.51, 1}, {0.2503, 1}, {0, 0},    {0.7, 0}};
  for (const double sigma : {0.5, 0.1, 0.03, 0.01, 0.003})
    EXPECT_NEAR(smooth_ece_at(cosines(rows), sigma), direct(rows, sigma), 1e-3 * direct(rows, sigma))
        << sigma;
}

TEST(SmoothEce, KeepsItsMass) {
  // A one-sided gap is itself at every width, also at the ends of [0, 1].
  for (const double c : {0.0, 0.5, 0.9997, 1.0}) {
    const std::vector<Row> rows = {{c, c > 0.5 ? 0.0 : 1.0}};
    for (const double sigma : {0.4, 0.05, 0.002})
      EXPECT_NEAR(smooth_ece_at(cosines(rows), sigma), std::abs(c - rows[0].correct), 1e-4);
  }
}

TEST(SmoothEce, FixtureF1) {
  std::vector<Row> rows;
  for (int i = 0; i < 1000; ++i) {
    const double c = (i + 0.5) / 1000;
    rows.push_back({c, (7919 * i) % 1009 / 1009.0 < c * c ? 1.0 : 0.0});
  }
  EXPECT_NEAR(smooth_ece_at(cosines(rows), 0.05), 0.167, 5e-7);
  EXPECT_NEAR(smooth_ece_at(cosines(rows), 0.1), 0.167, 5e-7);
  const SmoothEce smooth = smooth_ece(cosines(rows));
  EXPECT_NEAR(smooth.value, 0.167, 5e-7);
  EXPECT_EQ(smooth.sigma, 0.16796875);  // relplot's
}

}  // namespace
}  // namespace labelsmooth
