// SPDX-License-Identifier: MIT
#include "labelsmooth/smoothing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>   // std::log, std::isinf
#include <vector>  // std::vector

#include "error_of.h"
#include "reference.h"

namespace labelsmooth {
namespace {

using ::testing::HasSubstr;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The document's example: K = 5, e = 0.1; figures worked out by hand in long double.
TEST(Smoothing, DocumentExample) {
  struct Case {
    Smoothing smoothing;
    double label, other, mass, effective, probability, gap, floor;
  };
  const Case cases[] = {
      {flip(.1), .9, .1, 1.3, 5. / 13, 9. / 13, std::log(9), 1.356932045},
      {additive(.1), 1, .1, 1.4, 5. / 14, 10. / 14, std::log(10), 1.392095168},
      {uniform(.1), .92, .02, 1, .1, .92, std::log(46), .389672920658},
      {others(.1), .9, .025, 1, .125, .9, std::log(36), .463712410},
  };
  for (const Case& c : cases) {
    const auto q = target(c.smoothing, 5, 3);
    for (int k = 0; k < 5; ++k) EXPECT_NEAR(q[k], k == 3 ? c.label : c.other, 1e-15);
    EXPECT_NEAR(mass(c.smoothing, 5), c.mass, 1e-15);
    EXPECT_NEAR(as_uniform(c.smoothing, 5).amount, c.effective, 1e-15);
    EXPECT_NEAR(as_uniform(c.smoothing, 5).scale, c.mass, 1e-15);
    EXPECT_NEAR(optimum(c.smoothing, 5).probability, c.probability, 1e-15);
    EXPECT_NEAR(optimum(c.smoothing, 5).gap, c.gap, 1e-14);
    EXPECT_NEAR(optimum(c.smoothing, 5).floor, c.floor, 1e-9);
  }
}

// gap ln((K (1 - e) + e) / e) and the entropy of the target, from the closed forms.
TEST(Smoothing, UniformGapAndFloor) {
  struct Case {
    int64_t classes;
    double amount, gap, floor;
  };
  const Case cases[] = {{2, .1, 2.944438979166, 0.198515243346},
                        {10, .05, 5.252273428047, 0.282396242764},
                        {100, .2, 5.993961427307, 1.407451033722},
                        {1000, .1, 9.105090961257, 1.014847997749}};
  for (const Case& c : cases) {
    EXPECT_NEAR(optimum(uniform(c.amount), c.classes).gap, c.gap, 1e-11);
    EXPECT_NEAR(optimum(uniform(c.amount), c.classes).floor, c.floor, 1e-11);
  }
}

TEST(Smoothing, TargetsAgreeWithTheReference) {
  const std::vector<double> prior = {.5, .25, .125, .125};
  for (const double e : {0., .1, .5, .9, 1.}) {
    for (const int64_t classes : {2, 3, 4, 10}) {
      for (int64_t label = 0; label < classes; ++label) {
        const auto expect = [&](const Smoothing& smoothing, const char* rule) {
          const auto q = target(smoothing, classes, label);
          const reference::Reals uniform(classes, 1 / reference::Real(classes));
          const auto truth = reference::target(
              rule == std::string("prior") ? "uniform" : rule, e, reference::one_hot(classes, label),
              rule == std::string("prior") ? reference::Reals(prior.begin(), prior.end()) : uniform);
          for (int64_t k = 0; k < classes; ++k) EXPECT_NEAR(q[k], double(truth[k]), 4e-16) << rule << e;
        };
        expect(uniform(e), "uniform");
        expect(others(e), "others");
        expect(flip(e), "flip");
        expect(additive(e), "additive");
        if (classes == 4) expect(uniform(e, prior), "prior");
      }
    }
  }
}

TEST(Smoothing, NoSmoothingIsTheHardLabel) {
  for (const Smoothing& hard : {Smoothing{}, others(0), flip(0), additive(0)}) {
    EXPECT_EQ(affine(hard, 1).a, 1);
    EXPECT_EQ(affine(hard, 7).b, 0);
    EXPECT_TRUE(std::isinf(optimum(hard, 7).gap));
    EXPECT_EQ(optimum(hard, 7).floor, 0);
  }
}

TEST(Smoothing, TwoClassesFlipEqualsOthers) {
  EXPECT_EQ(target(flip(.1), 2, 0), target(others(.1), 2, 0));
  EXPECT_NEAR(as_uniform(flip(.1), 2).amount, .2, 1e-15);
}

TEST(Smoothing, OneClass) {
  EXPECT_EQ(target(uniform(.1), 1, 0)[0], 1);
  EXPECT_THAT(error_of([] { affine(others(.1), 1); }), HasSubstr("others needs at least 2 classes, 1 found"));
}

constexpr Rule kRules[] = {Rule::uniform, Rule::others, Rule::flip, Rule::additive};

TEST(Smoothing, ConvertsTheDocumentExample) {
  const Equivalent uniformly = convert(additive(.1), Rule::uniform, 5);
  EXPECT_NEAR(uniformly.amount, 5. / 14, 1e-15);
  EXPECT_NEAR(uniformly.scale, 1.4, 1e-15);
  EXPECT_NEAR(convert(uniform(.1), Rule::others, 5).amount, .08, 1e-15);
  EXPECT_NEAR(convert(flip(.1), Rule::uniform, 2).amount, .2, 1e-15);
  EXPECT_NEAR(convert(flip(.1), Rule::additive, 5).amount, 1. / 9, 1e-15);  // both gaps are ln 9
  EXPECT_NEAR(convert(flip(.1), Rule::additive, 5).scale, 1.3 / (1 + 4. / 9), 1e-15);
}

// What two rules make of a label stands as scale : 1, class by class. 1e-9 for a of others, see convert.
TEST(Smoothing, ConvertedTargetsAreProportional) {
  for (const Rule from : kRules) {
    for (const Rule to : kRules) {
      for (const int64_t classes : {2, 3, 10, 1000, 100000}) {
        for (const double e : {0., 1e-9, .1, .3, 1. / 3, .5}) {
          const Equivalent found = convert({from, e}, to, classes);
          const auto q = target({from, e}, classes, 0), r = target({to, found.amount}, classes, 0);
          for (const int64_t k : {int64_t{0}, classes - 1}) {
            EXPECT_NEAR(found.scale * r[k], q[k], 1e-9 * q[k]) << int(from) << int(to) << classes << ' ' << e;
          }
          EXPECT_NEAR(convert({to, found.amount}, from, classes).amount, e, 1e-9 * e);
        }
      }
    }
  }
}

TEST(Smoothing, ConvertsToTheEndsOfTheRange) {
  for (const int64_t classes : {2, 3, 7, 10, 1000, 1000000}) {
    const auto k = double(classes);
    EXPECT_NEAR(convert(uniform(1), Rule::others, classes).amount, (k - 1) / k, 1e-15);
    EXPECT_NEAR(convert(uniform(1), Rule::flip, classes).amount, .5, 1e-15);
    EXPECT_EQ(convert(uniform(1), Rule::additive, classes).amount, 1);
    EXPECT_NEAR(convert(others(1), Rule::flip, classes).amount, 1, 1e-9);
    EXPECT_LE(convert(others(1), Rule::flip, classes).amount, 1);
    EXPECT_EQ(convert(others(1), Rule::others, classes).amount, 1);
    for (const Rule rule : {Rule::uniform, Rule::additive}) {  // the label is the least likely class
      EXPECT_THAT(error_of([&] { convert(others(1), rule, classes); }), HasSubstr("no amount in 0 to 1"));
      EXPECT_THAT(error_of([&] { convert(flip(.51), rule, classes); }), HasSubstr("no amount in 0 to 1"));
    }
  }
  EXPECT_EQ(convert(uniform(.3), Rule::uniform, 1).amount, .3);
  EXPECT_THAT(error_of([] { convert(uniform(.3), Rule::others, 1); }), HasSubstr("at least 2 classes"));
  EXPECT_THAT(error_of([] { convert(flip(1), Rule::uniform, 1); }), HasSubstr("leaves no mass"));
  const std::vector<double> prior = {.7, .3};
  EXPECT_THAT(error_of([&] { convert(uniform(.3, prior), Rule::flip, 2); }), HasSubstr("prior: "));
}

// a + b / K may round below 0 where it is 0.
TEST(Smoothing, NoMassOnTheLabel) {
  for (const int64_t classes : {2, 7, 10, 11, 100}) {
    const Optimum best = optimum(others(1), classes);
    EXPECT_EQ(best.probability, 0) << classes;
    EXPECT_EQ(best.gap, -std::numeric_limits<double>::infinity());
    EXPECT_NEAR(best.floor, std::log(double(classes) - 1), 1e-14);
  }
  EXPECT_THAT(error_of([] { as_uniform(flip(1), 1); }), HasSubstr("leaves no mass"));
  EXPECT_THAT(error_of([] { optimum(flip(1), 1); }), HasSubstr("leaves no mass"));
}

TEST(Smoothing, PriorOptimumDependsOnTheLabel) {
  const std::vector<double> prior = {.7, .2, .1};
  EXPECT_NEAR(optimum(uniform(.5, prior), 3, 2).probability, .55, 1e-15);
  EXPECT_NEAR(optimum(uniform(.5, prior), 3, 2).gap, std::log(.55 / .35), 1e-15);
}

TEST(Smoothing, RefusesByName) {
  for (const double bad : {-.1, 1.2, kNan, std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(error_of([&] { affine(uniform(bad), 3); }), HasSubstr("smoothing: "));
  }
  EXPECT_THAT(error_of([] { affine(uniform(.1), 0); }), HasSubstr("classes: 0 found"));
  const std::vector<double> prior = {.5, .5};
  Smoothing odd = flip(.1);
  odd.prior = prior;
  EXPECT_THAT(error_of([&] { affine(odd, 2); }), HasSubstr("only the rule uniform takes a prior"));
  EXPECT_THAT(error_of([&] { affine(uniform(.1, prior), 3); }),
              HasSubstr("has 2 entries, there are 3 classes"));
  const std::vector<double> heavy = {.5, .6}, negative = {1.5, -.5}, nan = {kNan, 1};
  const std::vector<int> integers = {1, 0};
  EXPECT_THAT(error_of([&] { affine(uniform(.1, heavy), 2); }), HasSubstr("sums to 1.1"));
  const std::vector<double> nearly = {.5, .500002};
  EXPECT_THAT(error_of([&] { affine(uniform(.1, nearly), 2); }), HasSubstr("sums to 1.000002"));
  EXPECT_THAT(error_of([&] { affine(uniform(.1, negative), 2); }), HasSubstr("class 1 has -0.5"));
  EXPECT_THAT(error_of([&] { affine(uniform(.1, nan), 2); }), HasSubstr("class 0 has nan"));
  EXPECT_THAT(error_of([&] { affine(uniform(.1, integers), 2); }), HasSubstr("has type i32"));
  EXPECT_THAT(error_of([] { target(uniform(.1), 3, 3); }), HasSubstr("label: 3 found, 0 to 2 is allowed"));
}

}  // namespace
}  // namespace labelsmooth
