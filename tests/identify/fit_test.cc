// SPDX-License-Identifier: MIT
#include "identify/fit.h"

#include <gtest/gtest.h>

#include <cmath>   // std::abs, std::isinf
#include <random>  // std::mt19937
#include <vector>  // std::vector

namespace labelsmooth::identify {
namespace {

std::vector<Equation> exact(double t0, double t1, double spread, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<Equation> rows;
  for (int i = 0; i < 50; ++i) {
    const double x = 1 + unit(random), z = x + spread * unit(random);
    rows.push_back({t0 * x + t1 * z, {x, z}, 1e-6 * (1 + 9 * unit(random))});
  }
  return rows;
}

Fit fit_rows(const std::vector<Equation>& rows, int parameters) {
  return fit(static_cast<int64_t>(rows.size()), parameters, [&](int64_t i) { return rows[i]; });
}

TEST(Fit, ExactRows) {
  for (const double spread : {1.0, 1e-3, 1e-6}) {  // the columns become one
    const Fit f = fit_rows(exact(0.9, 0.1, spread, 1), 2);
    EXPECT_NEAR(f.theta[0], 0.9, 1e-14 / spread);
    EXPECT_NEAR(f.theta[1], 0.1, 1e-14 / spread);
    EXPECT_LT(f.worst, 1e-8);
    EXPECT_GT(f.uncertainty[1] * spread, 1e-7);
    EXPECT_LT(f.uncertainty[1] * spread, 1e-4);
  }
}

TEST(Fit, OneParameterLeavesTheSecondColumnAlone) {
  const Fit f = fit_rows(exact(3, 0, 1, 2), 1);
  EXPECT_NEAR(f.theta[0], 3, 1e-14);
  EXPECT_EQ(f.theta[1], 0);
}

TEST(Fit, NoParameterTestsTheRows) {
  std::vector<Equation> rows = {{1e-6, {1, 1}, 2e-6}, {-3e-6, {1, 1}, 1e-6}};
  const Fit f = fit_rows(rows, 0);
  EXPECT_DOUBLE_EQ(f.worst, 3);
  EXPECT_DOUBLE_EQ(f.rounding, 1e-6);
  EXPECT_DOUBLE_EQ(f.residual, 3e-6);
  EXPECT_DOUBLE_EQ(f.rms, std::sqrt((0.25 + 9) / 2));
}

TEST(Fit, WhatTheRowsDoNotTellIsUncertain) {
  const Fit zero = fit_rows({{0, {0, 0}, 1}, {0, {0, 0}, 1}}, 1);
  EXPECT_EQ(zero.theta[0], 0);
  EXPECT_TRUE(std::isinf(zero.uncertainty[0]));
  const Fit one = fit_rows({{2, {1, 2}, 1}, {4, {2, 4}, 1}}, 2);
  EXPECT_TRUE(std::isinf(one.uncertainty[0]));
  EXPECT_TRUE(std::isinf(one.uncertainty[1]));
  EXPECT_LT(one.worst, 1e-12);
}

TEST(Fit, ErrorsWithinRoundingStayWithinTheUncertaintyAndReachIt) {
  const std::vector<Equation> rows = exact(0.9, 0.1, 1, 3);
  const Fit clean = fit_rows(rows, 2);
  std::mt19937 random(4);
  double reached = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Equation> moved = rows;
    for (Equation& e : moved) e.y += random() % 2 ? e.allowed : -e.allowed;
    const Fit f = fit_rows(moved, 2);
    for (int j = 0; j < 2; ++j) EXPECT_LE(std::abs(f.theta[j] - clean.theta[j]), clean.uncertainty[j]);
  }
  std::vector<Equation> worst = rows;  // every error in the direction that moves theta[1]
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<Equation> one = rows;
    one[i].y += rows[i].allowed;
    const bool up = fit_rows(one, 2).theta[1] > clean.theta[1];
    worst[i].y += up ? rows[i].allowed : -rows[i].allowed;
  }
  reached = fit_rows(worst, 2).theta[1] - clean.theta[1];
  EXPECT_NEAR(reached / clean.uncertainty[1], 1, 1e-6);
}

TEST(Fit, RowsCountByWhatTheyAreAllowed) {
  const Fit f = fit_rows({{1, {1, 0}, 1e-9}, {2, {1, 0}, 1}}, 1);
  EXPECT_NEAR(f.theta[0], 1, 1e-15);
}

}  // namespace
}  // namespace labelsmooth::identify
