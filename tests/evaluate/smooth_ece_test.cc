// SPDX-License-Identifier: MIT
#include "evaluate/smooth_ece.h"

#include <gtest/gtest.h>

#include <cmath>    // std::abs, std::cos, std::exp
#include <numbers>  // std::numbers::pi
#include <random>   // std::mt19937
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/isa.h"

namespace labelsmooth {
namespace {

constexpr double kPi = std::numbers::pi;

template <class Body>
void on_every_isa(const Body& body) {
  for (const std::string& name : usable_isas()) {
    SCOPED_TRACE(name);
    set_isa(name);
    body();
  }
  set_isa("");
}

Abreast all(double x) {
  Abreast eight;
  for (double& one : eight.of) one = x;
  return eight;
}

TEST(CosineSums, AreTheSums) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  on_every_isa([&] {
    for (const int n : {1, 2, 4, 8, 16, 32, 64, 512}) {
      std::vector<Abreast> x(n + 1);
      for (Abreast& eight : x) {
        for (double& one : eight.of) one = normal(random);
      }
      CosineSums transform;
      const std::vector<Abreast>& sums = transform(x);
      for (int m = 0; m <= n; ++m) {
        for (int r = 0; r < kAbreast; ++r) {
          double expected = 0;
          for (int j = 0; j <= n; ++j) expected += x[j].of[r] * std::cos(kPi * m * j / n);
          EXPECT_NEAR(sums[m].of[r], expected, 1e-13 * n);
        }
      }
    }
  });
}

struct Row {
  double confidence, correct;
};

/// Adds the residuals of `rows` to redraw r.
void add_residuals(const std::vector<Row>& rows, int r, SmoothEce& smooth) {
  for (const Row& row : rows) {
    const SmoothPlace place = smooth_place(row.confidence);
    const double residual = (row.confidence - row.correct) / static_cast<double>(rows.size());
    smooth.residuals()[place.node].of[r] += residual * (1 - place.fraction);
    smooth.residuals()[place.node + 1].of[r] += residual * place.fraction;
  }
}

SmoothEce smooth_of(const std::vector<Row>& rows) {
  SmoothEce smooth;
  add_residuals(rows, 0, smooth);
  smooth.take();
  return smooth;
}

double smooth_ece_at(const std::vector<Row>& rows, double sigma) {
  return smooth_of(rows).at(all(sigma)).of[0];
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
    EXPECT_NEAR(smooth_ece_at(rows, sigma), direct(rows, sigma), 1e-3 * direct(rows, sigma)) << sigma;
}

TEST(SmoothEce, KeepsItsMass) {
  // A one-sided gap is itself at every width, also at the ends of [0, 1].
  for (const double c : {0.0, 0.5, 0.9997, 1.0}) {
    const std::vector<Row> rows = {{c, c > 0.5 ? 0.0 : 1.0}};
    for (const double sigma : {0.4, 0.05, 0.002})
      EXPECT_NEAR(smooth_ece_at(rows, sigma), std::abs(c - rows[0].correct), 1e-4);
  }
}

TEST(SmoothEce, FixtureF1) {
  std::vector<Row> rows;
  for (int i = 0; i < 1000; ++i) {
    const double c = (i + 0.5) / 1000;
    rows.push_back({c, (7919 * i) % 1009 / 1009.0 < c * c ? 1.0 : 0.0});
  }
  EXPECT_NEAR(smooth_ece_at(rows, 0.05), 0.167, 5e-7);
  EXPECT_NEAR(smooth_ece_at(rows, 0.1), 0.167, 5e-7);
  on_every_isa([&] {
    const SmoothEce::Solution solution = smooth_of(rows).solve();
    EXPECT_NEAR(solution.value.of[0], 0.167, 5e-7);
    EXPECT_EQ(solution.sigma.of[0], 0.16796875);  // relplot's
    EXPECT_EQ(solution.value.of[1], 0);           // where there are no rows
  });
}

std::vector<Row> drawn(int rows, double bias, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform;
  std::vector<Row> result;
  for (int i = 0; i < rows; ++i) {
    const double c = uniform(random);
    result.push_back({c, uniform(random) < c - bias ? 1.0 : 0.0});
  }
  return result;
}

/// What one redraw comes to has nothing of its neighbours in it, whatever sigma they are at.
TEST(SmoothEce, EightGoSideBySideAlone) {
  on_every_isa([] {
    std::mt19937 random(2);
    std::vector<std::vector<Row>> sets;
    SmoothEce together;
    for (int r = 0; r < kAbreast; ++r) {
      sets.push_back(drawn(1 << (2 * r), r % 3 == 0 ? 0.3 : 0, random));
      add_residuals(sets.back(), r, together);
    }
    together.take();
    const SmoothEce::Solution solution = together.solve();
    for (int r = 0; r < kAbreast; ++r) {
      const SmoothEce::Solution alone = smooth_of(sets[r]).solve();
      EXPECT_EQ(solution.value.of[r], alone.value.of[0]);
      EXPECT_EQ(solution.sigma.of[r], alone.sigma.of[0]);
    }
  });
}

/// By its definition: halvings that ask for the value each time.
TEST(SmoothEce, TheBoundChangesNothing) {
  std::mt19937 random(3);
  for (const int rows : {1, 3, 40, 3000, 100'000}) {
    for (const double bias : {0.0, 0.02, 0.5}) {
      SmoothEce smooth = smooth_of(drawn(rows, bias, random));
      double low = 0, high = 1;
      for (int step = 0; step < 10; ++step) {
        const double middle = (low + high) / 2;
        (middle >= 1e-3 && smooth.at(all(middle)).of[0] <= middle ? high : low) = middle;
      }
      const SmoothEce::Solution solution = smooth.solve();
      EXPECT_EQ(solution.sigma.of[0], high) << rows << " " << bias;
      EXPECT_EQ(solution.value.of[0], smooth.at(all(high)).of[0]);
    }
  }
}

TEST(SmoothEce, FewPointsAreThoseOfMany) {
  std::mt19937 random(4);
  SmoothEce smooth = smooth_of(drawn(100, 0, random));
  for (const double sigma : {0.3, 0.01, 0.001}) {
    const std::vector<Abreast> many = smooth.smoothed(all(sigma), kSmoothCells);
    for (const int points : {1, 2, 64}) {
      const std::vector<Abreast>& few = smooth.smoothed(all(sigma), points);
      for (int i = 0; i <= points; ++i)
        EXPECT_NEAR(few[i].of[0], many[i * (kSmoothCells / points)].of[0], 1e-12);
    }
  }
}

}  // namespace
}  // namespace labelsmooth
