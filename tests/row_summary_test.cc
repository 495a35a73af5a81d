// SPDX-License-Identifier: MIT
// merge as algebra: identity, commutative in bits, any tree to rounding, ties, infinities, NaN.
#include "labelsmooth/row_summary.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>    // std::exp, std::isnan
#include <cstring>  // std::memcmp
#include <vector>   // std::vector

namespace labelsmooth {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool same_bits(const RowSummary& x, const RowSummary& y) { return std::memcmp(&x, &y, sizeof x) == 0; }

// One class, by definition of the fields.
RowSummary of_class(int64_t k, double z, double label, double prior) {
  RowSummary one;
  one.max = z;
  one.label_mass = label;
  one.prior_mass = prior;
  one.prior_norm = 1;
  one.argmax = k;
  one.classes = 1;
  if (std::isnan(z)) one.tail = one.tail_z = one.label_dot = one.prior_dot = kNan;
  return one;
}

// The fields' definitions over all classes at once, in long double.
void expect_definition(const RowSummary& got, const std::vector<RowSummary>& classes) {
  long double max = -kInf;
  int64_t argmax = -1;
  for (const auto& one : classes) {
    if (argmax < 0 || one.max > max) max = one.max, argmax = one.argmax;
  }
  long double tail = 0, tail_z = 0, label_dot = 0, prior_dot = 0;
  for (const auto& one : classes) {
    const long double x = one.max == max ? 0 : one.max - max;
    if (one.argmax != argmax) tail += std::exp(x);
    if (one.argmax != argmax && x > -kInf) tail_z += x * std::exp(x);
    if (one.label_mass != 0) label_dot += one.label_mass * x;
    if (one.prior_mass != 0) prior_dot += one.prior_mass * x;
  }
  const auto near = [](double value, long double truth, const char* field) {
    if (std::isinf(double(truth))) {
      EXPECT_EQ(value, double(truth)) << field;
    } else {
      EXPECT_NEAR(value, double(truth), 1e-13 * (1 + std::abs(double(truth)))) << field;
    }
  };
  EXPECT_EQ(got.max, double(max));
  EXPECT_EQ(got.argmax, argmax);
  EXPECT_EQ(got.classes, static_cast<int64_t>(classes.size()));
  near(got.tail, tail, "tail");
  near(got.tail_z, tail_z, "tail_z");
  near(got.label_dot, label_dot, "label_dot");
  near(got.prior_dot, prior_dot, "prior_dot");
}

// Logits with many ties, and -inf among them.
rc::Gen<double> logit() {
  return rc::gen::weightedOneOf<double>(
      {{6, rc::gen::map(rc::gen::inRange(-400, 400), [](int i) { return i / 16.; })},
       {3, rc::gen::map(rc::gen::inRange(0, 3), [](int i) { return double(i); })},
       {1, rc::gen::just(-kInf)}});
}

rc::Gen<std::vector<RowSummary>> classes() {
  return rc::gen::map(
      rc::gen::nonEmpty(rc::gen::container<std::vector<std::tuple<double, int, int>>>(
          rc::gen::tuple(logit(), rc::gen::inRange(0, 3), rc::gen::inRange(0, 4)))),
      [](const auto& values) {
        std::vector<RowSummary> list;
        for (const auto& [z, label, prior] : values) {
          list.push_back(of_class(static_cast<int64_t>(list.size()), z, label * .5, prior * .25));
        }
        return list;
      });
}

RC_GTEST_PROP(RowSummary, AnyTreeInAnyOrderIsTheDefinition, ()) {
  const auto list = *classes();
  auto pool = list;
  while (pool.size() > 1) {
    const auto i = *rc::gen::inRange<size_t>(0, pool.size());
    const RowSummary x = pool[i];
    pool.erase(pool.begin() + static_cast<std::ptrdiff_t>(i));
    const auto j = *rc::gen::inRange<size_t>(0, pool.size());
    pool[j] = merge(x, pool[j]);
  }
  expect_definition(pool[0], list);
}

RC_GTEST_PROP(RowSummary, CommutativeInBits, ()) {
  const auto list = *classes();
  const auto cut = *rc::gen::inRange<size_t>(0, list.size() + 1);
  RowSummary x, y;
  for (size_t i = 0; i < list.size(); ++i) (i < cut ? x : y) = merge(i < cut ? x : y, list[i]);
  RC_ASSERT(same_bits(merge(x, y), merge(y, x)));
}

RC_GTEST_PROP(RowSummary, EmptyIsTheIdentity, ()) {
  RowSummary x;
  for (const auto& one : *classes()) x = merge(x, one);
  RC_ASSERT(same_bits(merge(x, {}), x));
  RC_ASSERT(same_bits(merge({}, x), x));
}

TEST(RowSummary, TwoEmptiesAreEmpty) { EXPECT_TRUE(same_bits(merge({}, {}), {})); }

// 3 % of random swaps differ when the compiler fuses the multiplication and addition.
TEST(RowSummary, CommutativeInBitsOverManyRandomPairs) {
  uint64_t state = 1;
  const auto next = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  for (int i = 0; i < 20000; ++i) {
    RowSummary x = of_class(0, next() * 3, next(), next()), y = of_class(1, next() * 3, next(), next());
    for (RowSummary* one : {&x, &y}) {
      one->tail = next() * 9;
      one->tail_z = -next();
      one->label_dot = -next();
      one->prior_dot = -next();
    }
    ASSERT_TRUE(same_bits(merge(x, y), merge(y, x))) << i;
  }
}

TEST(RowSummary, TiesGoToTheLowestIndex) {
  const RowSummary x = of_class(4, 1.5, 0, 1), y = of_class(2, 1.5, 0, 1);
  EXPECT_EQ(merge(x, y).argmax, 2);
  EXPECT_EQ(merge(x, y).tail, 1);
}

TEST(RowSummary, ImpossibleClassesBeatNoClasses) {
  const RowSummary impossible = of_class(3, -kInf, 0, 0);
  EXPECT_EQ(merge(impossible, {}).argmax, 3);
  EXPECT_EQ(merge({}, impossible).argmax, 3);
}

TEST(RowSummary, ImpossibleClassWithMassMakesItsDotInfinite) {
  const RowSummary possible = of_class(0, 2, 1, 1);
  EXPECT_EQ(merge(possible, of_class(1, -kInf, 0, 1)).prior_dot, -kInf);
  EXPECT_EQ(merge(possible, of_class(1, -kInf, 0, 0)).prior_dot, 0);
  EXPECT_EQ(merge(possible, of_class(1, -kInf, 1, 0)).label_dot, -kInf);
  EXPECT_EQ(merge(possible, of_class(1, -kInf, 0, 0)).tail_z, 0);
}

TEST(RowSummary, NanWins) {
  const RowSummary nan = of_class(5, kNan, 0, 1);
  for (const RowSummary& other : {of_class(1, 3, 1, 1), of_class(1, kInf, 1, 1), of_class(1, -kInf, 1, 1)}) {
    for (const RowSummary& sum : {merge(nan, other), merge(other, nan)}) {
      EXPECT_TRUE(std::isnan(sum.max));
      EXPECT_TRUE(std::isnan(sum.tail) && std::isnan(sum.tail_z) && std::isnan(sum.prior_dot));
      EXPECT_EQ(sum.argmax, 5);
      EXPECT_EQ(sum.classes, 2);
      EXPECT_EQ(sum.prior_mass, 2);
    }
  }
  EXPECT_EQ(merge(nan, of_class(2, kNan, 0, 1)).argmax, 2);
}

// A summary that stays confident keeps a tail far below the epsilon of 1.
TEST(RowSummary, KeepsATinyTail) {
  const RowSummary sum = merge(of_class(0, 69, 1, 0), of_class(1, 0, 0, 0));
  EXPECT_NEAR(sum.tail, std::exp(-69), 1e-44);
}

}  // namespace
}  // namespace labelsmooth
