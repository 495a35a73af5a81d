// SPDX-License-Identifier: MIT
#include "labelsmooth/binary_smoothing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>   // std::log, std::isinf
#include <limits>  // std::numeric_limits
#include <vector>  // std::vector

#include "error_of.h"
#include "reference.h"

namespace labelsmooth {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using Row = std::vector<double>;

const char* name_of(BinaryRule rule) {
  constexpr const char* kNames[] = {"flip", "half", "uniform", "spread"};
  return kNames[static_cast<int>(rule)];
}
constexpr BinaryRule kRules[] = {BinaryRule::flip, BinaryRule::half, BinaryRule::uniform, BinaryRule::spread};

// Each peer's targets for e = .1, by hand.
TEST(BinarySmoothing, TargetsOfThePeers) {
  const Row y = {1, 0, 1, 0};
  const auto expect = [&](BinaryRule rule, const Row& labels, const Row& q) {
    EXPECT_THAT(target({rule, .1}, labels), Pointwise(DoubleNear(1e-15), q)) << name_of(rule);
  };
  expect(BinaryRule::flip, y, {.9, .1, .9, .1});
  expect(BinaryRule::half, y, {.95, .05, .95, .05});
  expect(BinaryRule::uniform, y, {.925, .025, .925, .025});
  expect(BinaryRule::spread, y, {.95, .05, .95, .05});
  expect(BinaryRule::spread, {1, 0, 0, 0}, {.925, .025, .025, .025});
  expect(BinaryRule::spread, {1, 1, 1, 0}, {.975, .975, .975, .075});
  expect(BinaryRule::spread, {0, 0, 0, 0}, {0, 0, 0, 0});
  expect(BinaryRule::uniform, {0, 0, 0, 0}, {.025, .025, .025, .025});
  expect(BinaryRule::uniform, {0}, {.1});
  expect(BinaryRule::spread, {1}, {1});
}

TEST(BinarySmoothing, EqualsTheReference) {
  const Row y = {0, 1, .25, 1, 1e-3, 0, .999};
  for (const BinaryRule rule : kRules) {
    for (const double amount : {0., 1e-9, .1, .5, .7, 1.}) {
      const auto truth = reference::sigmoid_row(name_of(rule), amount, std::vector<reference::Real>(7),
                                                {y.begin(), y.end()});
      const Row q = target({rule, amount}, y);
      for (int k = 0; k < 7; ++k)
        EXPECT_NEAR(q[k], double(truth.target[k]), 4e-16) << name_of(rule) << amount;
    }
  }
}

TEST(BinarySmoothing, SpreadKeepsTheSumOfTheRow) {
  const Row q = target({BinaryRule::spread, .3}, Row{1, 0, .5, 1, 0, 0, 0});
  double sum = 0;
  for (const double value : q) sum += value;
  EXPECT_NEAR(sum, 2.5, 1e-15);
}

// Converted and back, and the same targets, for every pair that has an equal.
TEST(BinarySmoothing, Conversions) {
  const Row two = {1, 0};
  for (const BinaryRule from : {BinaryRule::flip, BinaryRule::half, BinaryRule::uniform}) {
    for (const BinaryRule to : {BinaryRule::flip, BinaryRule::half, BinaryRule::uniform}) {
      const BinarySmoothing smoothing = {from, .2}, converted = convert(smoothing, to, 2);
      EXPECT_EQ(converted.rule, to);
      EXPECT_THAT(target(converted, two), Pointwise(DoubleNear(1e-16), target(smoothing, two)));
      EXPECT_EQ(convert(converted, from, 2).amount, .2);
    }
  }
  EXPECT_EQ(convert({BinaryRule::half, .1}, BinaryRule::flip, 5).amount, .05);
  EXPECT_EQ(convert({BinaryRule::spread, .1}, BinaryRule::spread, 5).amount, .1);
  EXPECT_EQ(convert({BinaryRule::spread, 0}, BinaryRule::flip, 5).amount, 0);
  const auto error = [](const BinarySmoothing& smoothing, BinaryRule to, int64_t classes) {
    return error_of([&] { convert(smoothing, to, classes); });
  };
  EXPECT_THAT(error({BinaryRule::uniform, .1}, BinaryRule::half, 3), HasSubstr("only flip, half"));
  EXPECT_THAT(error({BinaryRule::half, .1}, BinaryRule::spread, 2), HasSubstr("only flip, half"));
  EXPECT_THAT(error({BinaryRule::flip, .6}, BinaryRule::half, 3), HasSubstr("flip of 0.6"));
  EXPECT_THAT(error({BinaryRule::flip, .1}, BinaryRule::half, 0), HasSubstr("classes: 0 found"));
}

// The document: the output stops where the logit is ln((1 - e) / e).
TEST(BinarySmoothing, Optimum) {
  const struct {
    double amount, gap;
  } kCases[] = {{.01, 4.595119850135}, {.05, 2.944438979166}, {.1, 2.197224577336},
                {.2, 1.386294361120},  {.3, 0.847297860387},  {.5, 0}};
  for (const auto& c : kCases) {
    const Row q = target({BinaryRule::flip, c.amount}, Row{1});
    const Optimum best = binary_optimum(q[0]);
    EXPECT_NEAR(best.gap, c.gap, 1e-12);
    EXPECT_NEAR(best.probability, 1 - c.amount, 1e-15);
    EXPECT_NEAR(best.floor, -c.amount * std::log(c.amount) - (1 - c.amount) * std::log(1 - c.amount), 1e-15);
  }
  EXPECT_EQ(binary_optimum(1).gap, std::numeric_limits<double>::infinity());
  EXPECT_EQ(binary_optimum(1).floor, 0);
  EXPECT_EQ(binary_optimum(0).probability, 0);
  EXPECT_EQ(binary_optimum(0).floor, 0);
  EXPECT_NEAR(binary_optimum(.2, 4).probability, .5, 1e-15);
  EXPECT_NEAR(binary_optimum(.2, 4).floor, 1.6 * std::log(2), 1e-15);
}

TEST(BinarySmoothing, Errors) {
  const auto error = [](const BinarySmoothing& smoothing, const Row& labels) {
    return error_of([&] { target(smoothing, labels); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(error({BinaryRule::flip, -.1}, {1}), "smoothing: -0.100000 found, 0 to 1 is allowed");
  EXPECT_EQ(error({BinaryRule::half, 1.2}, {1}), "smoothing: 1.200000 found, 0 to 1 is allowed");
  EXPECT_EQ(error({BinaryRule::half, nan}, {1}), "smoothing: nan found, 0 to 1 is allowed");
  EXPECT_EQ(error({static_cast<BinaryRule>(4), .1}, {1}), "smoothing: unknown rule");
  EXPECT_EQ(error({}, {}), "labels: no classes found, at least 1 is needed");
  EXPECT_EQ(error({}, {0, 2}), "labels: class 1 has 2.000000, 0 to 1 is allowed");
  EXPECT_EQ(error_of([&] { binary_optimum(nan); }), "q: nan found, 0 to 1 is allowed");
  EXPECT_THAT(error_of([&] { binary_optimum(.5, -1); }), HasSubstr("pos_weight: -1"));
  EXPECT_THAT(error_of([&] { binary_optimum(1, 0); }), HasSubstr("no optimum"));
}

}  // namespace
}  // namespace labelsmooth
