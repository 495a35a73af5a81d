// SPDX-License-Identifier: MIT
#include "labelsmooth/sigmoid_cross_entropy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>  // std::copy_n
#include <cmath>      // std::exp, std::isnan, std::log
#include <limits>     // std::numeric_limits
#include <random>     // std::mt19937_64
#include <tuple>      // std::tuple
#include <vector>     // std::vector

#include "error_of.h"
#include "half.h"
#include "labelsmooth/parallel.h"
#include "reference.h"
#include "storage.h"

namespace labelsmooth {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsNan;
using Row = std::vector<double>;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kDenormal = std::numeric_limits<double>::denorm_min();
constexpr BinaryRule kRules[] = {BinaryRule::flip, BinaryRule::half, BinaryRule::uniform, BinaryRule::spread};

const char* name_of(BinaryRule rule) {
  constexpr const char* kNames[] = {"flip", "half", "uniform", "spread"};
  return kNames[static_cast<int>(rule)];
}

// Logits and 0/1 labels, with some soft ones.
struct Batch {
  int64_t rows, classes;
  Row z, y;

  Batch(int64_t rows, int64_t classes, uint64_t seed, double spread = 3)
      : rows(rows), classes(classes), z(rows * classes), y(rows * classes) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(0, spread);
    for (double& value : z) value = normal(random);
    for (double& value : y) value = random() % 5 == 0 ? .25 : double(random() % 2);
  }
  Logits logits() const { return {z.data(), rows, classes}; }
  Target target() const { return dense({y.data(), rows, classes}); }
  std::vector<reference::Real> row(const Row& values, int64_t row) const {
    return {values.begin() + row * classes, values.begin() + (row + 1) * classes};
  }
};

double loss_of(const Batch& batch, const SigmoidOptions& options) {
  return sigmoid_cross_entropy(batch.logits(), batch.target(), options).loss;
}

Row gradient_of(const Batch& batch, const SigmoidOptions& options, const Upstream& upstream = {}) {
  Row dz(batch.z.size());
  sigmoid_cross_entropy(batch.logits(), batch.target(), Gradient{dz.data(), batch.rows, batch.classes},
                        options, {}, upstream);
  return dz;
}

Row elements_of(const Batch& batch, const SigmoidOptions& options) {
  Row elements(batch.z.size());
  sigmoid_cross_entropy(batch.logits(), batch.target(), options, {.elements = elements});
  return elements;
}

// ---- Published figures ----

TEST(Golden, Keras) {
  const Row z = {10, -10, -10}, y = {1, 0, 1};
  EXPECT_NEAR(
      sigmoid_cross_entropy({z.data(), 1, 3}, dense({y.data(), 1, 3}), {.smoothing = {BinaryRule::half, .1}})
          .loss,
      3.500045398899, 1e-12);
  // The examples of its documentation, given there to three decimals.
  const std::vector<float> two = {-18.6f, .51f, 2.94f, -12.8f}, weights = {.8f, .2f};
  const std::vector<uint8_t> labels = {0, 1, 0, 0};
  Row rows(2);
  const SigmoidResult result =
      sigmoid_cross_entropy({two.data(), 2, 2}, dense({labels.data(), 2, 2}), {}, {.loss = rows});
  EXPECT_NEAR(result.loss, .865, 5e-4);
  EXPECT_NEAR(rows[0] / 2, .235, 5e-4);
  EXPECT_NEAR(rows[1] / 2, 1.496, 5e-4);
  EXPECT_NEAR(
      sigmoid_cross_entropy({two.data(), 2, 2}, dense({labels.data(), 2, 2}), {.row_weights = weights}).loss,
      .243, 1e-3);
}

// PyTorch's documentation of pos_weight: all logits 1.5, all labels 1.
TEST(Golden, PyTorchPosWeight) {
  const Row z(640, 1.5), y(640, 1), ones(64, 1), threes(64, 3);
  const auto loss = [&](const Row& pos_weight) {
    return sigmoid_cross_entropy({z.data(), 10, 64}, dense({y.data(), 10, 64}), {.pos_weight = pos_weight})
        .loss;
  };
  EXPECT_NEAR(loss(ones), .2014, 5e-5);
  EXPECT_NEAR(loss(threes), 3 * loss(ones), 1e-15);
}

// timm's dense targets of a class: off e/K and on 1 - e + e/K, summed over classes, the mean over rows.
TEST(Golden, Timm) {
  const Row z = {2, -1, .5, -.5, 0, 3};
  const std::vector<int> labels = {0, 1};
  double truth = 0;
  for (int i = 0; i < 6; ++i) {
    const double q = i % 3 == labels[i / 3] ? .9 + .1 / 3 : .1 / 3, p = 1 / (1 + std::exp(-z[i]));
    truth -= (q * std::log(p) + (1 - q) * std::log(1 - p)) / 2;
  }
  const SigmoidOptions options = {.smoothing = {BinaryRule::uniform, .1},
                                  .denominator = {SigmoidDenominator::rows}};
  EXPECT_NEAR(sigmoid_cross_entropy({z.data(), 2, 3}, labels, options).loss, truth, 1e-14);
}

// ---- The document's derivation ----

// Its third formula (the two losses, weighted by their probabilities) is its fifth (the label replaced),
// with the logarithm that both lack in print.
TEST(Document, TheMeanOverFlipsIsTheLossOfTheReplacedLabel) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int i = 0; i < 1000; ++i) {
    const double p = uniform(random), e = uniform(random), y = i % 3 == 0 ? uniform(random) : i % 2;
    const double z = std::log(p / (1 - p));
    const double third =
        -(e * (1 - y) + (1 - e) * y) * std::log(p) - (e * y + (1 - e) * (1 - y)) * std::log(1 - p);
    const auto loss = [&](double label, double amount) {
      return sigmoid_cross_entropy({&z, 1, 1}, dense({&label, 1, 1}),
                                   {.smoothing = {BinaryRule::flip, amount}})
          .loss;
    };
    EXPECT_NEAR(loss(y, e), third, 1e-13 * (1 + third));
    EXPECT_NEAR(loss(y, e), loss(e * (1 - y) + (1 - e) * y, 0), 1e-14 * (1 + third));
  }
}

// Each bit flipped on its own with probability e: the expected loss and gradient over all 2^K patterns.
TEST(Document, IndependentFlipsHaveTheExpectationOfTheRule) {
  constexpr int kClasses = 8;
  Batch batch(1, kClasses, 2);
  for (double& y : batch.y) y = y > .5;
  for (const double e : {.1, .3, .9}) {
    const SigmoidOptions smoothed = {.smoothing = {BinaryRule::flip, e}, .reduction = Reduction::sum};
    const Row slope = gradient_of(batch, smoothed);
    double mean = 0;
    Row mean_slope(kClasses);
    for (unsigned pattern = 0; pattern < 1u << kClasses; ++pattern) {
      Batch flipped = batch;
      double probability = 1;
      for (int k = 0; k < kClasses; ++k) {
        const bool flips = pattern >> k & 1;
        probability *= flips ? e : 1 - e;
        if (flips) flipped.y[k] = 1 - flipped.y[k];
      }
      mean += probability * loss_of(flipped, {.reduction = Reduction::sum});
      const Row dz = gradient_of(flipped, {.reduction = Reduction::sum});
      for (int k = 0; k < kClasses; ++k) mean_slope[k] += probability * dz[k];
    }
    EXPECT_NEAR(loss_of(batch, smoothed), mean, 1e-13);
    for (int k = 0; k < kClasses; ++k) EXPECT_NEAR(slope[k], mean_slope[k], 1e-14);
  }
}

// One sigmoid is a softmax of two classes with the logits 0 and z.
TEST(Document, ASigmoidIsASoftmaxOfTwo) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal(0, 5);
  for (int i = 0; i < 200; ++i) {
    const double e = double(random() % 11) / 10, pair[] = {0, normal(random)};
    const std::vector<int> label = {i % 2};
    double dz = 0, dpair[2];
    const double loss = sigmoid_cross_entropy({&pair[1], 1, 1}, dense({label.data(), 1, 1}),
                                              Gradient{&dz, 1, 1}, {.smoothing = {BinaryRule::flip, e}})
                            .loss;
    EXPECT_NEAR(loss, cross_entropy({pair, 1, 2}, label, Gradient{dpair, 1, 2}, {.smoothing = flip(e)}).loss,
                1e-14 * (1 + loss));
    EXPECT_NEAR(dz, dpair[1], 1e-15);
    EXPECT_NEAR(dz, -dpair[0], 1e-15);
  }
}

TEST(Document, TheGradientVanishesAtTheOptimum) {
  for (const BinaryRule rule : kRules) {
    for (const double pos_weight : {1., .25, 7.}) {
      const Row y = {1, 0, 1}, weights(3, pos_weight), q = target({rule, .1}, y);
      Batch batch(1, 3, 0);
      batch.y = y;
      for (int k = 0; k < 3; ++k) batch.z[k] = binary_optimum(q[k], pos_weight).gap;
      const SigmoidOptions options = {
          .smoothing = {rule, .1}, .pos_weight = weights, .reduction = Reduction::sum};
      for (const double slope : gradient_of(batch, options)) EXPECT_NEAR(slope, 0, 1e-15);
      double floor = 0;
      for (const double value : q) floor += binary_optimum(value, pos_weight).floor;
      EXPECT_NEAR(loss_of(batch, options), floor, 1e-14);
    }
  }
}

// ---- Against the reference ----

template <class S>
void expect_reference(int64_t rows, int64_t classes, BinaryRule rule, double amount, double spread = 3) {
  SCOPED_TRACE(std::string(name_of(rule)) + " of " + std::to_string(amount) + ", classes " +
               std::to_string(classes) + " of " + name(dtype_of<S>()));
  Batch batch(rows, classes, static_cast<uint64_t>(classes), spread);
  std::vector<S> z(batch.z.size()), dz(z.size());
  for (size_t i = 0; i < z.size(); ++i) {
    store(batch.z[i], z[i]);
    batch.z[i] = load<double>(z[i]);
  }
  Row pos_weight(classes), class_weights(classes);
  for (int64_t k = 0; k < classes; ++k) {
    pos_weight[k] = .25 * double(k % 7), class_weights[k] = .5 * double(k % 5) - .5;
  }
  Row loss(rows), nll(rows), elements(z.size());
  const SigmoidOptions options = {.smoothing = {rule, amount},
                                  .pos_weight = pos_weight,
                                  .class_weights = class_weights,
                                  .reduction = Reduction::none};
  sigmoid_cross_entropy({z.data(), rows, classes}, batch.target(), Gradient{dz.data(), rows, classes},
                        options, {loss, nll, elements});
  for (int64_t row = 0; row < rows; ++row) {
    const auto truth = reference::sigmoid_row(name_of(rule), amount, batch.row(batch.z, row),
                                              batch.row(batch.y, row), pos_weight, class_weights);
    reference::Real sum = 0, sizes = 0, sum_nll = 0;
    for (int64_t k = 0; k < classes; ++k) {
      const int64_t i = row * classes + k;
      const auto value = double(truth.loss[k]), q = double(truth.target[k]);
      ASSERT_NEAR(elements[i], value, 6 * kEpsilon * std::abs(value) + 4 * kDenormal) << k;
      sum += truth.loss[k], sizes += std::abs(truth.loss[k]), sum_nll += truth.nll[k];
      const double p = 1 / (1 + std::exp(-batch.z[i])), weight = std::abs(class_weights[k]);
      const double terms = weight * ((1 - q) * p + pos_weight[k] * q * (1 - p));
      S above;  // half a unit in the last place of the type is the distance to its rounded self at most
      store(double(truth.gradient[k]), above);
      const double rounding = std::abs(load<double>(above) - double(truth.gradient[k]));
      const double slack = sizeof(S) == 8 ? 0 : std::abs(double(truth.gradient[k])) * 0x1p-24;
      ASSERT_NEAR(load<double>(dz[i]), double(truth.gradient[k]),
                  rounding + slack + 6 * kEpsilon * terms + 4 * kDenormal)
          << "class " << k << " z " << batch.z[i] << " q " << q;
    }
    const double bound = kEpsilon * (6 + double(classes) / 2);
    EXPECT_NEAR(loss[row], double(sum), bound * double(sizes));
    EXPECT_NEAR(nll[row], double(sum_nll), bound * double(sum_nll));
  }
}

// Around the block of 256 classes.
TEST(Reference, EveryTypeRuleAndShape) {
  for (const int64_t classes : {1, 2, 3, 20, 255, 256, 257, 513}) {
    for (const BinaryRule rule : kRules) {
      for (const double amount : {0., .1, 1.}) {
        expect_reference<double>(3, classes, rule, amount);
        expect_reference<float>(3, classes, rule, amount);
        expect_reference<f16>(2, classes, rule, amount);
        expect_reference<bf16>(2, classes, rule, amount);
      }
    }
  }
  for (const double spread : {1e-6, 100., 600.}) {
    expect_reference<double>(20, 20, BinaryRule::half, .1, spread);
    expect_reference<float>(20, 20, BinaryRule::flip, 1e-3, spread);
  }
}

TEST(Reference, ConfidentElementsKeepTheirDigits) {
  for (const double z : {5., 17., 40., 69., 700.}) {
    for (const double y : {0., 1.}) {
      const double logit = y == 1 ? z : -z, truth = std::log1p(std::exp(-z));
      double dz = 0;
      const SigmoidResult result =
          sigmoid_cross_entropy({&logit, 1, 1}, dense({&y, 1, 1}), Gradient{&dz, 1, 1});
      EXPECT_NEAR(result.loss, truth, 1e-15 * truth);
      const double slope = (y == 1 ? -1 : 1) * std::exp(-z) / (1 + std::exp(-z));
      EXPECT_NEAR(dz, slope, 1e-15 * std::abs(slope));
    }
  }
  // Where 1 - q is below the epsilon of 1, its term is nearly all of the loss.
  const double z = 80, y = 1;
  for (const BinaryRule rule : {BinaryRule::flip, BinaryRule::half}) {
    const double e = 1e-20, off = rule == BinaryRule::half ? e / 2 : e, truth = std::exp(-z) + off * z;
    const double loss = sigmoid_cross_entropy({&z, 1, 1}, dense({&y, 1, 1}), {.smoothing = {rule, e}}).loss;
    EXPECT_NEAR(loss, truth, 1e-14 * truth);
  }
  const Row row = {80, 80, 80}, ones = {1, 1, 1};
  const double loss = sigmoid_cross_entropy({row.data(), 1, 3}, dense({ones.data(), 1, 3}),
                                            {.smoothing = {BinaryRule::uniform, 1e-20}})
                          .loss;
  EXPECT_NEAR(loss, 2e-20 / 3 * 80, 1e-32);
  const Row nearly = {1, 1, 1 - 0x1p-40};
  const double spread = sigmoid_cross_entropy({row.data(), 1, 3}, dense({nearly.data(), 1, 3}),
                                              {.smoothing = {BinaryRule::spread, 1}})
                            .loss;
  EXPECT_NEAR(spread, 80 * 0x1p-40 / 3, 1e-14 * 80 * 0x1p-40);
}

TEST(Reference, FiniteDifferences) {
  const Row pos_weight = {2, .5, 1, 3, 0}, class_weights = {1, 2, -.5, 1, 3}, row_weights = {1, 0, 2, .5};
  const Batch elements(4, 5, 7);
  std::vector<uint8_t> mask(20, 1);
  mask[6] = mask[13] = 0;
  for (const BinaryRule rule : kRules) {
    for (const auto kind : {SigmoidDenominator::elements, SigmoidDenominator::rows,
                            SigmoidDenominator::weights, SigmoidDenominator::constant}) {
      Batch batch(4, 5, 5, 1);
      const SigmoidOptions options = {.smoothing = {rule, .2},
                                      .pos_weight = pos_weight,
                                      .class_weights = class_weights,
                                      .row_weights = row_weights,
                                      .element_weights = {elements.z.data(), 4, 5},
                                      .mask = {mask.data(), 4, 5},
                                      .denominator = {kind, kind == SigmoidDenominator::constant ? 3. : 0.}};
      const Row dz = gradient_of(batch, options);
      for (size_t i = 0; i < 20; ++i) {
        const double z = batch.z[i], h = 1e-5;
        batch.z[i] = z + h;
        const double above = loss_of(batch, options);
        batch.z[i] = z - h;
        const double below = loss_of(batch, options);
        batch.z[i] = z;
        EXPECT_NEAR(dz[i], (above - below) / (2 * h), 1e-9) << name_of(rule) << " element " << i;
      }
    }
  }
}

// ---- Options ----

TEST(Options, WeightsMultiplyAndDenominatorsDivide) {
  const Batch batch(3, 4, 11);
  const Row classes = {1, 2, 0, .5}, rows = {3, 1, .25};
  Row elements(12);
  for (int i = 0; i < 12; ++i) elements[i] = 1 + i % 3;
  const SigmoidOptions plain = {.smoothing = {BinaryRule::half, .1}};
  SigmoidOptions options = plain;
  options.class_weights = classes;
  options.row_weights = rows;
  options.element_weights = {elements.data(), 3, 4};
  const Row unweighted = elements_of(batch, plain), weighted = elements_of(batch, options);
  double sum = 0, weight = 0;
  for (int i = 0; i < 12; ++i) {
    const double w = classes[i % 4] * rows[i / 4] * elements[i];
    EXPECT_NEAR(weighted[i], w * unweighted[i], 1e-14);
    sum += w * unweighted[i];
    weight += w;
  }
  const auto expect = [&](const SigmoidDenominator& denominator, double divisor) {
    options.denominator = denominator;
    const SigmoidResult result = sigmoid_cross_entropy(batch.logits(), batch.target(), options);
    EXPECT_DOUBLE_EQ(result.denominator, divisor);
    EXPECT_NEAR(result.loss, sum / divisor, 1e-14);
  };
  expect({}, 12);
  expect({SigmoidDenominator::rows}, 3);
  expect({SigmoidDenominator::weights}, weight);
  expect({SigmoidDenominator::constant, 7}, 7);
  options.denominator = {};
  options.reduction = Reduction::sum;
  EXPECT_NEAR(loss_of(batch, options), sum, 1e-13);
  options.reduction = Reduction::none;
  EXPECT_TRUE(std::isnan(loss_of(batch, options)));
}

TEST(Options, UpstreamAndAccumulate) {
  const Batch batch(3, 4, 13);
  const std::vector<float> rows = {1, 0, -2};
  const Row sum = gradient_of(batch, {.reduction = Reduction::sum}), mean = gradient_of(batch, {});
  const Row scaled = gradient_of(batch, {}, {.scalar = -3});
  const Row by_row = gradient_of(batch, {.reduction = Reduction::none}, {.scalar = 2, .rows = rows});
  Row added(12, 5);
  sigmoid_cross_entropy(batch.logits(), batch.target(), Gradient{added.data(), 3, 4}, {}, {},
                        {.accumulate = true});
  for (int i = 0; i < 12; ++i) {
    EXPECT_NEAR(mean[i], sum[i] / 12, 1e-16);
    EXPECT_NEAR(scaled[i], -sum[i] / 4, 1e-15);
    EXPECT_NEAR(by_row[i], 2 * double(rows[i / 4]) * sum[i], 1e-15);
    EXPECT_DOUBLE_EQ(added[i], 5 + mean[i]);
  }
}

// The same numbers from every way to say which elements there are.
TEST(Options, WhatDoesNotCountAffectsNothing) {
  for (const BinaryRule rule : kRules) {
    Batch batch(3, 4, 17);
    for (double& y : batch.y) y = y > .5;
    Batch poisoned = batch;
    std::vector<int8_t> labels(batch.y.begin(), batch.y.end());
    std::vector<uint8_t> mask(12, 1);
    for (const int i : {1, 6, 8, 9, 10, 11}) {  // and the whole last row
      poisoned.z[i] = i % 2 ? kNan : kInf;
      poisoned.y[i] = i % 2 ? kNan : -7;
      labels[i] = -100;
      mask[i] = 0;
    }
    const SigmoidOptions options = {.smoothing = {rule, .1}, .mask = {mask.data(), 3, 4}};
    double truth = 0;
    for (int row = 0; row < 2; ++row) {
      std::vector<reference::Real> z, y;
      for (int k = 0; k < 4; ++k) {
        if (mask[row * 4 + k]) z.push_back(batch.z[row * 4 + k]), y.push_back(batch.y[row * 4 + k]);
      }
      // uniform alone counts all classes: 1/4.
      if (rule == BinaryRule::uniform) {
        for (auto& value : y) value = .9L * value + .1L / 4;
      }
      const auto row_truth =
          reference::sigmoid_row(rule == BinaryRule::uniform ? "none" : name_of(rule), .1L, z, y);
      for (const auto value : row_truth.loss) truth += double(value);
    }
    Row dz(12, 9), elements(12, 9);
    const SigmoidResult result = sigmoid_cross_entropy(
        poisoned.logits(), poisoned.target(), Gradient{dz.data(), 3, 4}, options, {.elements = elements});
    EXPECT_NEAR(result.loss, truth / 6, 1e-15) << name_of(rule);
    EXPECT_EQ(result.rows, 3);
    EXPECT_EQ(result.counted, 2);
    EXPECT_EQ(result.elements, 6);
    EXPECT_EQ(result.denominator, 6);
    for (int i = 0; i < 12; ++i) {
      if (mask[i]) continue;
      EXPECT_EQ(dz[i], 0);
      EXPECT_EQ(elements[i], 0);
    }
    SigmoidOptions by_value = options;
    by_value.mask = {};
    const Target integers = dense({labels.data(), 3, 4});
    EXPECT_EQ(sigmoid_cross_entropy(poisoned.logits(), integers, by_value).loss, result.loss);
    by_value.denominator = {SigmoidDenominator::rows};
    EXPECT_EQ(sigmoid_cross_entropy(poisoned.logits(), integers, by_value).denominator, 2);
  }
}

TEST(Options, IgnoredRows) {
  Batch batch(3, 4, 19);
  batch.z[5] = kNan;
  batch.y[6] = kNan;
  const std::vector<int> rows = {0, 2, 1};
  const SigmoidOptions options = {.ignore_index = 2};
  const Batch kept(1, 4, 19);
  Row dz(12, 9);
  const SigmoidResult result = sigmoid_cross_entropy(batch.logits(), dense({batch.y.data(), 3, 4}, rows),
                                                     Gradient{dz.data(), 3, 4}, options);
  EXPECT_FALSE(std::isnan(result.loss));
  EXPECT_EQ(result.counted, 2);
  EXPECT_EQ(result.elements, 8);
  for (int i = 4; i < 8; ++i) EXPECT_EQ(dz[i], 0);
  const SigmoidResult single = sigmoid_cross_entropy(batch.logits(), rows, options);
  EXPECT_EQ(single.elements, 8);
  EXPECT_THAT(error_of([&] {
                sigmoid_cross_entropy(batch.logits(), std::vector<int>{0, -100, 1}, {.ignore_index = {}});
              }),
              HasSubstr("labels: row 1 has -100"));
}

// A mask of one row is every row's.
TEST(Options, SharedMask) {
  const Batch batch(3, 4, 23);
  const std::vector<uint8_t> shared = {1, 0, 1, 1}, whole = {1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1};
  EXPECT_EQ(loss_of(batch, {.mask = {shared.data(), 1, 4}}), loss_of(batch, {.mask = {whole.data(), 3, 4}}));
}

TEST(Options, EveryKindOfTarget) {
  const Batch batch(3, 4, 29);
  const std::vector<int> first = {2, 0, 3}, second = {1, 0, 0};
  const std::vector<float> weight = {.25f, .5f, 1};
  const Row one_hot = {0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1},
            mixture = {0, .75, .25, 0, 1, 0, 0, 0, 0, 0, 0, 1};
  for (const BinaryRule rule : kRules) {
    const SigmoidOptions options = {.smoothing = {rule, .1}};
    const auto loss = [&](const Target& target) {
      return sigmoid_cross_entropy(batch.logits(), target, options).loss;
    };
    EXPECT_EQ(loss(first), loss(dense({one_hot.data(), 3, 4})));
    EXPECT_EQ(loss(mixed(first, second, weight)), loss(dense({mixture.data(), 3, 4})));
    const auto expect = [&]<class T>(T) {
      const std::vector<T> labels(one_hot.begin(), one_hot.end());
      EXPECT_EQ(loss(dense({labels.data(), 3, 4})), loss(first));
      EXPECT_EQ(loss(std::vector<T>(first.begin(), first.end())), loss(first));
    };
    expect(int8_t{}), expect(uint8_t{}), expect(int16_t{}), expect(uint16_t{});
    expect(int32_t{}), expect(uint32_t{}), expect(int64_t{}), expect(uint64_t{});
    const std::vector<float> floats(mixture.begin(), mixture.end());
    std::vector<f16> halves(12);
    for (int i = 0; i < 12; ++i) narrow(floats[i], halves[i]);
    EXPECT_EQ(loss(dense({floats.data(), 3, 4})), loss(dense({mixture.data(), 3, 4})));
    EXPECT_EQ(loss(dense({halves.data(), 3, 4})), loss(dense({mixture.data(), 3, 4})));
  }
}

TEST(Options, NllAndCorrectAreOfTheLabelsAsGiven) {
  const Row z = {1, -1, 2, -2, 0, 0}, y = {1, 1, 0, 0, 1, 0}, weights(6, 5), pos_weight(6, 7);
  const SigmoidOptions options = {
      .smoothing = {BinaryRule::flip, .3}, .pos_weight = pos_weight, .class_weights = weights};
  const SigmoidResult hard = sigmoid_cross_entropy({z.data(), 1, 6}, dense({y.data(), 1, 6}));
  const SigmoidResult smooth = sigmoid_cross_entropy({z.data(), 1, 6}, dense({y.data(), 1, 6}), options);
  EXPECT_EQ(smooth.nll, hard.loss);
  EXPECT_GT(smooth.loss, 2 * smooth.nll);
  EXPECT_EQ(smooth.correct, 3) << "a logit of 0 says no";
}

TEST(Options, EmptyMeans) {
  const Batch batch(2, 3, 31);
  const std::vector<uint8_t> mask(6, 0);
  const Row no_weight(3, 0);
  const SigmoidOptions masked = {.mask = {mask.data(), 2, 3}}, weightless = {.class_weights = no_weight};
  const auto with = [&](SigmoidOptions options, Empty empty, SigmoidDenominator::Kind kind) {
    options.empty = empty;
    options.denominator = {kind};
    return sigmoid_cross_entropy(batch.logits(), batch.target(), options);
  };
  for (const auto kind :
       {SigmoidDenominator::elements, SigmoidDenominator::rows, SigmoidDenominator::weights}) {
    EXPECT_TRUE(std::isnan(with(masked, Empty::nan, kind).loss));
    EXPECT_TRUE(std::isnan(with(masked, Empty::nan, kind).nll));
    EXPECT_EQ(with(masked, Empty::zero, kind).loss, 0);
    EXPECT_EQ(with(masked, Empty::zero, kind).nll, 0);
    EXPECT_EQ(error_of([&] { with(masked, Empty::error, kind); }),
              "targets: no element counts, so there is no mean");
  }
  EXPECT_EQ(gradient_of(batch, masked), Row(6, 0));
  EXPECT_EQ(with(weightless, Empty::error, SigmoidDenominator::elements).loss, 0) << "the elements count";
  EXPECT_THAT(error_of([&] { with(weightless, Empty::error, SigmoidDenominator::weights); }),
              HasSubstr("weights sum to 0"));
  const Row opposed = {1, -1, 0};
  const SigmoidOptions cancelled = {.class_weights = opposed, .denominator = {SigmoidDenominator::weights}};
  EXPECT_TRUE(std::isnan(gradient_of(batch, cancelled)[0]));
  EXPECT_EQ(gradient_of(batch, cancelled)[2], 0);
  SigmoidOptions zero = cancelled;
  zero.empty = Empty::zero;
  EXPECT_EQ(gradient_of(batch, zero), Row(6, 0));

  double none = 0;
  const SigmoidResult result = sigmoid_cross_entropy({&none, 0, 3}, dense({&none, 0, 3}));
  EXPECT_TRUE(std::isnan(result.loss));
  EXPECT_EQ(result.elements, 0);
  EXPECT_EQ(sigmoid_cross_entropy({&none, 0, 3}, dense({&none, 0, 3}), {.reduction = Reduction::sum}).loss,
            0);
}

// ---- NaN and infinity ----

TEST(Special, InfiniteLogitsAreCertain) {
  const auto call = [](double z, double y, const SigmoidOptions& options) {
    double dz = 0;
    const SigmoidResult result =
        sigmoid_cross_entropy({&z, 1, 1}, dense({&y, 1, 1}), Gradient{&dz, 1, 1}, options);
    return std::tuple(result.loss, dz, result.first_impossible_row);
  };
  const SigmoidOptions hard = {}, smooth = {.smoothing = {BinaryRule::half, .1}};
  EXPECT_EQ(call(kInf, 1, hard), std::tuple(0, 0, -1));
  EXPECT_EQ(call(-kInf, 0, hard), std::tuple(0, 0, -1));
  EXPECT_EQ(call(-kInf, 1, hard), std::tuple(kInf, -1, 0));
  EXPECT_EQ(call(kInf, 0, hard), std::tuple(kInf, 1, 0));
  EXPECT_EQ(call(kInf, 1, smooth), std::tuple(kInf, .05, -1)) << "the label itself is possible";
  EXPECT_EQ(call(-kInf, 0, smooth), std::tuple(kInf, -.05, -1));
  EXPECT_EQ(call(kInf, .5, hard), std::tuple(kInf, .5, 0));
  const double most = std::numeric_limits<double>::max();
  EXPECT_EQ(call(-most, 1, hard), std::tuple(most, -1, -1));
  EXPECT_EQ(call(most, 1, hard), std::tuple(0, 0, -1));
}

TEST(Special, NanStaysInItsElement) {
  Batch batch(3, 300, 37);
  const SigmoidOptions options = {.smoothing = {BinaryRule::spread, .1}};
  const Row clean = gradient_of(batch, options);
  const Row losses = elements_of(batch, options);
  batch.z[470] = kNan;
  Row dz(900), elements(900), rows(3);
  const SigmoidResult result =
      sigmoid_cross_entropy(batch.logits(), batch.target(), Gradient{dz.data(), 3, 300}, options,
                            {.loss = rows, .elements = elements});
  EXPECT_TRUE(std::isnan(result.loss) && std::isnan(rows[1]));
  EXPECT_FALSE(std::isnan(rows[0]) || std::isnan(rows[2]));
  for (int i = 0; i < 900; ++i) {
    if (i == 470) {
      EXPECT_TRUE(std::isnan(dz[i]) && std::isnan(elements[i]));
    } else {
      EXPECT_EQ(dz[i], clean[i]);
      EXPECT_EQ(elements[i], losses[i]);
    }
  }
  EXPECT_EQ(result.first_impossible_row, -1);
  Row weights(300, 1);
  weights[170] = 0;
  EXPECT_FALSE(std::isnan(loss_of(batch, {.class_weights = weights}))) << "weight 0, loss 0";
  const double nan = kNan, y = 0, wrong = 1;
  EXPECT_EQ(sigmoid_cross_entropy({&nan, 1, 1}, dense({&y, 1, 1})).correct, 0);
  EXPECT_EQ(sigmoid_cross_entropy({&nan, 1, 1}, dense({&wrong, 1, 1})).correct, 0);
}

TEST(Special, FirstImpossibleRow) {
  Batch batch(4, 600, 41);
  for (double& y : batch.y) y = 1;
  batch.z[1799] = batch.z[2000] = -kInf;
  EXPECT_EQ(sigmoid_cross_entropy(batch.logits(), batch.target()).first_impossible_row, 2);
}

// ---- Layout ----

TEST(Layout, AnyAxisStrideAndPadding) {
  const Batch batch(6, 300, 43);  // rows = outer 2 x inner 3
  const SigmoidOptions options = {.smoothing = {BinaryRule::spread, .1}};
  const double loss = loss_of(batch, options);
  const Row dz = gradient_of(batch, options);
  Row z(1800), y(1800), middle(1800);
  for (int r = 0; r < 6; ++r) {
    for (int k = 0; k < 300; ++k) {
      const int to = (r / 3 * 300 + k) * 3 + r % 3;
      z[to] = batch.z[r * 300 + k];
      y[to] = batch.y[r * 300 + k];
    }
  }
  const Target target = dense({y.data(), 2, 300, 3});
  EXPECT_EQ(
      sigmoid_cross_entropy({z.data(), 2, 300, 3}, target, Gradient{middle.data(), 2, 300, 3}, options).loss,
      loss);
  for (int r = 0; r < 6; ++r) {
    for (int k = 0; k < 300; ++k) EXPECT_EQ(middle[(r / 3 * 300 + k) * 3 + r % 3], dz[r * 300 + k]);
  }
  sigmoid_cross_entropy({z.data(), 2, 300, 3}, target, Gradient{z.data(), 2, 300, 3}, options);
  EXPECT_EQ(z, middle) << "in place";

  // The real classes of wider rows; row order backwards.
  Row wide(6 * 310, 99), y_backwards(1800);
  for (int r = 0; r < 6; ++r) {
    std::copy_n(batch.z.begin() + r * 300, 300, wide.begin() + (5 - r) * 310);
  }
  Logits padded = Logits(wide.data() + 5 * 310, 6, 310).unpadded(300);
  padded.outer_stride = -310;
  Row wide_dz(6 * 310, 99);
  const Gradient gradient = Gradient(wide_dz.data(), 6, 310).unpadded(300);
  EXPECT_EQ(sigmoid_cross_entropy(padded, batch.target(), gradient, options).loss, loss);
  for (int r = 0; r < 6; ++r) {
    for (int k = 0; k < 310; ++k) EXPECT_EQ(wide_dz[r * 310 + k], k < 300 ? dz[r * 300 + k] : 0);
  }
}

TEST(Layout, BroadcastWeights) {
  const Batch batch(3, 4, 47);
  const Row classes = {1, 2, 3, 4};
  Rows broadcast(classes.data(), 3, 4);
  broadcast.outer_stride = 0;
  EXPECT_EQ(loss_of(batch, {.element_weights = broadcast}), loss_of(batch, {.class_weights = classes}));
}

// ---- Determinism ----

TEST(Determinism, SameBitsForAnyThreadCount) {
  for (const int64_t classes : {1, 20, 5000}) {
    const Batch batch(200000 / classes, classes, 53);
    const SigmoidOptions options = {.smoothing = {BinaryRule::spread, .1}};
    set_threads(1);
    const double loss = loss_of(batch, options);
    const Row dz = gradient_of(batch, options);
    for (const int count : {2, 3, 7}) {
      set_threads(count);
      EXPECT_EQ(loss_of(batch, options), loss) << count;
      EXPECT_EQ(gradient_of(batch, options), dz) << count;
    }
    set_threads(0);
  }
}

// The first of several bad labels is named, whichever thread meets one first.
TEST(Determinism, ErrorsNameTheFirst) {
  Batch batch(2000, 100, 59);
  batch.y[70 * 100 + 3] = batch.y[1900 * 100] = 2;
  set_threads(4);
  EXPECT_THAT(error_of([&] { loss_of(batch, {}); }), HasSubstr("targets: row 70 class 3 has 2.0"));
  set_threads(0);
}

// ---- The door ----

TEST(Errors, NameTheArgumentAndTheElement) {
  const Batch batch(3, 4, 61);
  const auto with = [&](const SigmoidOptions& options) { return error_of([&] { loss_of(batch, options); }); };
  const auto with_target = [&](const Target& target, const SigmoidOptions& options = {}) {
    return error_of([&] { sigmoid_cross_entropy(batch.logits(), target, options); });
  };
  Row bad = batch.y;
  bad[6] = kNan;
  EXPECT_EQ(with_target(dense({bad.data(), 3, 4})),
            "targets: row 1 class 2 has nan, 0 to 1 is allowed; elements that are not known take a mask");
  bad[6] = -1;
  EXPECT_THAT(with_target(dense({bad.data(), 3, 4})), HasSubstr("row 1 class 2 has -1.0"));
  std::vector<uint8_t> bits(12);
  bits[11] = 255;
  EXPECT_EQ(with_target(dense({bits.data(), 3, 4})),
            "targets: row 2 class 3 has 255, 0, 1 and the ignored -100 are allowed");
  EXPECT_EQ(with_target(dense({bits.data(), 3, 4}), {.ignore_index = {}}),
            "targets: row 2 class 3 has 255, 0 and 1 are allowed");
  EXPECT_EQ(with_target(dense({bits.data(), 3, 4}), {.ignore_index = 255}), "no error");
  EXPECT_THAT(with_target(dense({bits.data(), 4, 3})), HasSubstr("targets: shape (4, 3, 1) found"));
  EXPECT_THAT(with_target(std::vector<int>{0, 4, 1}), HasSubstr("labels: row 1 has 4, 0 to 3"));
  EXPECT_EQ(with_target(std::vector<int>{0, 1}), "labels: 2 found, there are 3 rows");
  const std::vector<int> binary = {0, 1, 1};
  EXPECT_EQ(error_of([&] { sigmoid_cross_entropy({batch.z.data(), 3, 1}, binary); }),
            "labels: name one of several classes, 1 found; binary labels of 0 and 1 are dense targets");
  EXPECT_EQ(error_of([&] { sigmoid_cross_entropy(batch.logits().shard(0, 8), batch.target()); }),
            "logits: a shard found, all the classes are needed");

  EXPECT_EQ(with({.smoothing = {BinaryRule::flip, 1.5}}), "smoothing: 1.500000 found, 0 to 1 is allowed");
  const Row three(3, 1), four(4, 1), negative = {1, 1, -1, 1}, infinite = {1, kInf, 1, 1};
  const std::vector<int> integers(4, 1);
  EXPECT_EQ(with({.pos_weight = three}), "pos_weight: 3 found, there are 4 classes");
  EXPECT_EQ(with({.pos_weight = negative}),
            "pos_weight: class 2 has -1.000000, finite values from 0 are allowed");
  EXPECT_THAT(with({.pos_weight = infinite}), HasSubstr("class 1 has inf"));
  EXPECT_EQ(with({.pos_weight = integers}), "pos_weight: have type i32, f32, f64, f16 and bf16 are allowed");
  EXPECT_EQ(with({.pos_weight = Vector(static_cast<double*>(nullptr), 4)}), "pos_weight: null data");
  EXPECT_EQ(with({.class_weights = three}), "class_weights: 3 found, there are 4 classes");
  EXPECT_EQ(with({.row_weights = four}), "row_weights: 4 found, there are 3 rows");
  EXPECT_EQ(with({.element_weights = {four.data(), 1, 4}}),
            "element_weights: shape (1, 4, 1) found, the logits' is (3, 4, 1)");
  Row weights(12, 1);
  weights[9] = kNan;
  EXPECT_EQ(with({.element_weights = {weights.data(), 3, 4}}),
            "element_weights: row 2 class 1 has nan, finite values are allowed");
  EXPECT_THAT(with({.element_weights = {bits.data(), 3, 4}}), HasSubstr("have type u8"));
  EXPECT_THAT(with({.element_weights = {static_cast<double*>(nullptr), 3, 4}}), HasSubstr("null data"));
  EXPECT_THAT(with({.mask = {weights.data(), 3, 4}}), HasSubstr("mask: has type f64, u8 is allowed"));
  EXPECT_THAT(with({.mask = {bits.data(), 4, 3}}), HasSubstr("mask: shape (4, 3, 1)"));
  for (const auto kind :
       {SigmoidDenominator::rows, SigmoidDenominator::weights, SigmoidDenominator::constant}) {
    EXPECT_EQ(with({.reduction = Reduction::sum, .denominator = {kind, 1}}),
              "denominator: only the reduction mean divides");
  }
  for (const double value : {0., -1., kNan, kInf})
    EXPECT_THAT(with({.denominator = {SigmoidDenominator::constant, value}}), HasSubstr("denominator: "));
}

TEST(Errors, GradientAndParts) {
  Batch batch(3, 4, 67);
  Row dz(24), weights(24, 1);
  const auto with = [&](const Gradient& dlogits, const SigmoidOptions& options = {},
                        const Upstream& upstream = {}) {
    return error_of(
        [&] { sigmoid_cross_entropy(batch.logits(), batch.target(), dlogits, options, {}, upstream); });
  };
  std::vector<float> narrow(12);
  EXPECT_EQ(with({narrow.data(), 3, 4}), "dlogits: have type f32, the logits' is f64");
  EXPECT_THAT(with({batch.z.data() + 1, 3, 4}), HasSubstr("overlap with the logits"));
  EXPECT_THAT(with({batch.y.data(), 3, 4}), HasSubstr("overlap with the targets"));
  EXPECT_THAT(with({batch.z.data(), 3, 4}, {}, {.accumulate = true}), HasSubstr("accumulate"));
  const SigmoidOptions weighted = {.element_weights = {weights.data(), 3, 4}};
  EXPECT_EQ(with({weights.data() + 11, 3, 4}, weighted), "dlogits: overlap with the element_weights");
  EXPECT_EQ(with({weights.data() + 12, 3, 4}, weighted), "no error");
  Rows backwards(weights.data() + 20, 3, 4);
  backwards.outer_stride = -4;
  EXPECT_EQ(with({weights.data(), 3, 4}, {.element_weights = backwards}), "no error");
  backwards.data = weights.data() + 16;
  EXPECT_EQ(with({weights.data(), 3, 4}, {.element_weights = backwards}),
            "dlogits: overlap with the element_weights");
  const std::vector<float> rows(3, 1);
  EXPECT_EQ(with({dz.data(), 3, 4}, {}, {.rows = rows}), "upstream: rows are for the reduction none");

  Row part(5);
  const auto with_parts = [&](const SigmoidParts& parts) {
    return error_of([&] { sigmoid_cross_entropy(batch.logits(), batch.target(), {}, parts); });
  };
  EXPECT_EQ(with_parts({.loss = part}), "parts.loss: 5 found, there are 3 rows");
  EXPECT_EQ(with_parts({.nll = part}), "parts.nll: 5 found, there are 3 rows");
  EXPECT_EQ(with_parts({.elements = part}), "parts.elements: 5 found, there are 12 elements");
}

// A refused call has written nothing.
TEST(Errors, LeaveTheGradientAlone) {
  Batch batch(3, 4, 71);
  batch.y[11] = 2;
  Row dz(12, 7);
  EXPECT_THROW(sigmoid_cross_entropy(batch.logits(), batch.target(), Gradient{dz.data(), 3, 4}), Error);
  EXPECT_THAT(dz, Each(7));
}

}  // namespace
}  // namespace labelsmooth
