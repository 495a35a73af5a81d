// SPDX-License-Identifier: MIT
#include "identify/basis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>   // std::log, std::isnan
#include <limits>  // std::numeric_limits
#include <vector>  // std::vector

#include "error_of.h"

namespace labelsmooth::identify {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

DType narrowest_of(std::vector<double> values) { return narrowest(values); }

TEST(Narrowest, TheFewestDigitsThatHoldEveryValue) {
  EXPECT_EQ(narrowest_of({1.5, 0.25}), DType::bf16);
  EXPECT_EQ(narrowest_of({1.5, 3e38f}), DType::f32);
  EXPECT_EQ(narrowest_of({1.5, std::ldexp(1, 127)}), DType::bf16);
  EXPECT_EQ(narrowest_of({1.5, 1 + 0x1p-10}), DType::f16);
  EXPECT_EQ(narrowest_of({1.5, 1 + 0x1p-11}), DType::f32);
  EXPECT_EQ(narrowest_of({65504, 1}), DType::f16);
  EXPECT_EQ(narrowest_of({65536 + 64, 1}), DType::f32);
  EXPECT_EQ(narrowest_of({1 + 0x1p-23, 1}), DType::f32);
  EXPECT_EQ(narrowest_of({1 + 0x1p-24, 1}), DType::f64);
  EXPECT_EQ(narrowest_of({0x1p-149, 1 + 0x1p-23}), DType::f32);
  EXPECT_EQ(narrowest_of({0x1p-150, 1}), DType::f64);
  EXPECT_EQ(narrowest_of({3 * 0x1p-24, 1 + 0x1p-10}), DType::f16);
  EXPECT_EQ(narrowest_of({3 * 0x1p-25, 1 + 0x1p-10}), DType::f32);
  EXPECT_EQ(narrowest_of({1e300, 0.1}), DType::f64);
}

TEST(Narrowest, NothingIsSaidByZerosInfinitiesAndOneValue) {
  EXPECT_EQ(narrowest_of({0, 0}), DType::f64);
  EXPECT_EQ(narrowest_of({0, 0x1.2p0, -kInf}), DType::bf16);
  EXPECT_EQ(narrowest_of({1.5}), DType::f32);
  EXPECT_EQ(narrowest_of({0.1}), DType::f64);
  const std::vector<float> zeros = {0, 0}, short_values = {1.5F, 2};
  EXPECT_EQ(narrowest(zeros), DType::f32);
  EXPECT_EQ(narrowest(short_values), DType::bf16);
  const std::vector<f16> half = {{0x3c00}, {0x3c00}};  // 1 is a bf16 too, whose range f16 lacks
  EXPECT_EQ(narrowest(half), DType::f16);
}

TEST(Basis, HardAndFlatLosses) {
  const std::vector<double> z = {0, std::log(3.0), std::log(4.0), 7, 7, 7}, losses = {1, 2}, w = {1, 2, 6};
  const std::vector<int64_t> y = {1, 2};
  const Basis basis = make_basis({z.data(), 2, 3}, y, losses, w, -100);
  ASSERT_EQ(basis.finite.size(), 2);
  const Row& row = basis.finite[0];
  const double p[] = {1 / 8.0, 3 / 8.0, 4 / 8.0};
  EXPECT_NEAR(row.hard, -std::log(p[1]), 1e-15);
  EXPECT_NEAR(row.flat, -(std::log(p[0]) + std::log(p[1]) + std::log(p[2])) / 3, 1e-15);
  EXPECT_NEAR(row.weighted_flat, -(std::log(p[0]) + 2 * std::log(p[1]) + 6 * std::log(p[2])) / 3, 1e-15);
  EXPECT_EQ(row.weight, 2);
  EXPECT_EQ(basis.mean_weight, 3);
  EXPECT_EQ(basis.weight_sum, 8);
  EXPECT_EQ(basis.finite[1].found, 2);
}

TEST(Basis, SortsTheRows) {
  const std::vector<double> z = {0, 1, -kInf, 1, 0, 1, 0, 1}, losses = {1, kInf, 5, 0};
  const std::vector<int32_t> y = {0, 1, -100, -100};
  const Basis basis = make_basis({z.data(), 4, 2}, y, losses, {}, -100);
  EXPECT_EQ(basis.finite.size(), 1);
  EXPECT_EQ(basis.infinite.size(), 1);
  EXPECT_EQ(basis.infinite[0].row, 1);
  EXPECT_EQ(basis.counted, 2);
  EXPECT_EQ(basis.ignored_nonzero, 1);
}

TEST(Basis, Refusals) {
  const std::vector<double> z = {0, 1, 0, 1}, bad = {1, kInf}, good = {1, 2};
  const std::vector<int64_t> y = {0, 1}, out = {0, 2}, ignored = {-100, -100};
  const auto error = [&](const std::vector<int64_t>& labels, const std::vector<double>& losses) {
    return error_of([&] { make_basis({z.data(), 2, 2}, labels, losses, {}, -100); });
  };
  EXPECT_THAT(error(y, bad), testing::HasSubstr("losses: row 1 has inf"));
  EXPECT_THAT(error(out, good), testing::HasSubstr("labels: row 1 has 2"));
  EXPECT_THAT(error(ignored, good), testing::HasSubstr("labels: no row counts"));
}

TEST(Basis, RoundingGrowsWithTheValueTheClassesAndTheArithmetic) {
  const std::vector<double> z64 = {0, 1, 0, 1}, losses = {1.1, 2.2};
  const std::vector<float> z32 = {0, 1, 0, 1};
  const std::vector<int64_t> y = {0, 1};
  const Basis wide = make_basis({z64.data(), 2, 2}, y, losses, {}, -100);
  const Basis narrow = make_basis({z32.data(), 2, 2}, y, losses, {}, -100);
  EXPECT_EQ(wide.precision.computed, 0x1p-52);
  EXPECT_EQ(narrow.precision.computed, 0x1p-23);
  EXPECT_GT(wide.allowed(wide.finite[1], 1), wide.allowed(wide.finite[0], 1) * 0.999);
  EXPECT_GT(wide.allowed(wide.finite[0], 2), wide.allowed(wide.finite[0], 1));
  EXPECT_LT(wide.allowed(wide.finite[0], 1), 1e-13);
  EXPECT_GT(narrow.allowed(narrow.finite[0], 1), 1e-7);
}

}  // namespace
}  // namespace labelsmooth::identify
