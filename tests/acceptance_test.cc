// SPDX-License-Identifier: MIT
// What the suites of other implementations ask of this loss, with their figures where they have any. Where
// ours differs on purpose, the test says so.
#include <gtest/gtest.h>

#include <algorithm>  // std::copy_n
#include <cmath>      // std::exp, std::log
#include <vector>     // std::vector

#include "batch.h"
#include "error_of.h"
#include "settings.h"

namespace labelsmooth {
namespace {

constexpr double kMinusInf = -kInf;

// Rows of classes in f64.
struct Answer {
  Result result;
  std::vector<double> loss, gradient;
};
Answer ask(const std::vector<double>& z, int64_t classes, const Target& target, const Options& options = {}) {
  const auto rows = static_cast<int64_t>(z.size()) / classes;
  Answer answer = {{}, std::vector<double>(rows), std::vector<double>(z.size())};
  answer.result = cross_entropy({z.data(), rows, classes}, target, {answer.gradient.data(), rows, classes},
                                options, {.loss = answer.loss});
  return answer;
}

Rows rows_of(const std::vector<double>& values, int64_t classes) {
  return {values.data(), static_cast<int64_t>(values.size()) / classes, classes};
}

void expect_near(const std::vector<double>& values, const std::vector<double>& expected, double bound) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isinf(expected[i])) {
      EXPECT_EQ(values[i], expected[i]) << i;
    } else {
      EXPECT_NEAR(values[i], expected[i], bound) << i;
    }
  }
}

const std::vector<double> kTwo = {2, -1, -1, 2};
const std::vector<int> kZeroOne = {0, 1};

// ---- MLX ----

TEST(Mlx, LabelsOneHotsAndSoftTargets) {
  const std::vector<double> one_hot = {1, 0, 0, 1}, soft = {.9, .1, .1, .9}, row_weights = {1, 2};
  const Options smooth = {.smoothing = uniform(.3), .reduction = Reduction::none};
  expect_near(ask(kTwo, 2, kZeroOne, smooth).loss, {.498587351574, .498587351574}, 1e-12);
  expect_near(ask(kTwo, 2, dense(rows_of(one_hot, 2)), smooth).loss, {.498587351574, .498587351574}, 1e-12);
  expect_near(ask(kTwo, 2, dense(rows_of(soft, 2))).loss, {.348587351574, .348587351574}, 1e-12);
  Options weighted = smooth;
  weighted.row_weights = row_weights;
  expect_near(ask(kTwo, 2, kZeroOne, weighted).loss, {.498587351574, .997174703148}, 1e-12);
}

// A class of no mass costs nothing at -inf, dense or not (MLX and PyTorch: NaN for dense, by 0 * inf).
TEST(Mlx, ImpossibleClassOfNoMass) {
  const std::vector<double> z = {0, kMinusInf, kMinusInf, 0}, one_hot = {1, 0, 0, 1};
  for (const Target& target : {Target(kZeroOne), dense(rows_of(one_hot, 2))}) {
    const Answer answer = ask(z, 2, target);
    EXPECT_EQ(answer.loss, std::vector<double>(2));
    EXPECT_EQ(answer.gradient, std::vector<double>(4));
  }
}

// ---- Optax ----

TEST(Optax, SafeSoftmax) {
  const double inf = kMinusInf;
  const std::vector<double> z = {10, 1, -2, 1, 4, .2, inf, 0, 0, inf, 0, 0, inf, 0, inf};
  const std::vector<double> t = {0, 1, 0, 1, 0, 0, 0, .5, .5, .4, .3, .3, 0, 1, 0};
  const Answer answer = ask(z, 3, dense(rows_of(t, 3)));
  expect_near(answer.loss, {9.00013, 3.0696733, .693147, kInf, 0}, 1e-5);
  for (const double dz : answer.gradient) EXPECT_TRUE(std::isfinite(dz));
  EXPECT_EQ(answer.result.first_impossible_row, 3);
}

// ---- Burn, tinygrad: padding rows ----

TEST(Burn, AnIgnoredRowChangesNothing) {
  const std::vector<double> z = {1, 2, 3, 0, -1, 1}, weights = {1, 2, 3}, t = {.2, .3, .5, 1, 0, 0};
  std::vector<double> padded = z, padded_t = t;
  padded.insert(padded.end(), 3, kNan), padded_t.insert(padded_t.end(), 3, kNan);
  const std::vector<int> labels = {2, 0}, padded_labels = {2, 0, -100};
  for (const Options& options :
       {Options{}, Options{.smoothing = uniform(.1)}, Options{.class_weights = weights},
        Options{.smoothing = uniform(.1), .class_weights = weights}}) {
    for (const bool soft : {false, true}) {
      const Answer with =
          ask(padded, 3, soft ? dense(rows_of(padded_t, 3), padded_labels) : Target(padded_labels), options);
      Answer without = ask(z, 3, soft ? dense(rows_of(t, 3), labels) : Target(labels), options);
      EXPECT_EQ(with.result.loss, without.result.loss);
      without.gradient.insert(without.gradient.end(), 3, 0);
      EXPECT_EQ(with.gradient, without.gradient);
    }
  }
}

TEST(Tinygrad, AmountsFromNoneToAll) {
  const Batch<double> batch(36, 10, 3);  // (3, 12, 10), and with the classes in the middle
  std::vector<double> middle(360), one_hot(360);
  for (int64_t i = 0; i < 360; ++i) middle[(i / 120 * 10 + i % 10) * 12 + i / 10 % 12] = batch.z[i];
  for (int64_t r = 0; r < 36; ++r) one_hot[r * 10 + batch.labels[r]] = 1;
  for (const double amount : {0., .3, .7, 1.}) {
    for (const int64_t ignored : {batch.labels[0], int64_t{0}, int64_t{3}, int64_t{-5}}) {
      const Options options = {.smoothing = uniform(amount), .ignore_index = ignored};
      const double loss = ask(batch.z, 10, batch.labels, options).result.loss;
      EXPECT_EQ(cross_entropy({middle.data(), 3, 10, 12}, batch.labels, options).loss, loss);
      EXPECT_NEAR(ask(batch.z, 10, dense(rows_of(one_hot, 10), batch.labels), options).result.loss, loss,
                  1e-14);
    }
  }
}

// ---- PyTorch ----

// Extra axes, all reductions: smoothing by the loss is smoothing the targets by hand.
TEST(PyTorch, SmoothingIsHandSmoothedTargets) {
  for (const int64_t inner : {1, 2, 12, 144}) {
    for (const double amount : {.05, .15}) {
      LossCase c = base_case(4, 9, 10, inner), by_hand = c;
      c.dtype = by_hand.dtype = DType::f64;
      c.layout = by_hand.layout = Layout::middle;
      c.options.smoothing = uniform(amount);
      by_hand.options.smoothing = {};
      by_hand.kind = Target::Kind::dense;
      for (int64_t i = 0; i < c.rows() * 4; ++i)
        by_hand.dense[i] = (1 - amount) * double(c.labels[i / 4] == i % 4) + amount / 4;
      for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        c.options.reduction = by_hand.options.reduction = reduction;
        const Outcome x = run(c), y = run(by_hand);
        expect_near(x.loss, y.loss, 1e-14);
        expect_near(x.gradient, y.gradient, 1e-15);
        if (reduction == Reduction::none) continue;
        EXPECT_NEAR(x.result.loss, y.result.loss, 1e-14 * y.result.loss);
      }
    }
  }
}

// Targets are any numbers: here log probabilities, negative and of no mass in particular.
TEST(PyTorch, TargetsNeedNotBeDistributions) {
  const Batch<double> batch(10, 4, 21);
  std::vector<double> t, by_hand;
  for (int64_t i = 0; i < 40; ++i)
    t.push_back(-std::abs(batch.z[39 - i])), by_hand.push_back(.9 * t[i] + .1 / 4);
  const Answer built_in = ask(batch.z, 4, dense(rows_of(t, 4)), {.smoothing = uniform(.1)});
  const Answer manual = ask(batch.z, 4, dense(rows_of(by_hand, 4)));
  expect_near(built_in.loss, manual.loss, 1e-13);
  expect_near(built_in.gradient, manual.gradient, 1e-14);
  const std::vector<double> zero = {0, 0, 0}, z = {1, 2, 3};
  EXPECT_NEAR(ask(z, 3, dense(rows_of(zero, 3)), {.smoothing = uniform(.1)}).loss[0], .140760596444, 1e-12);
}

// The mean of dense targets divides by the rows, that of labels by their weights.
TEST(PyTorch, MeanOfWeightedOneHotsIsNotThatOfLabels) {
  const std::vector<double> z = {1, 2, 3, 0, 0, 0}, weights = {1, 2, 3}, one_hot = {0, 0, 1, 1, 0, 0};
  const Options options = {.smoothing = uniform(.1), .class_weights = weights};
  const Answer labels = ask(z, 3, std::vector<int>{2, 0}, options),
               soft = ask(z, 3, dense(rows_of(one_hot, 3)), options);
  EXPECT_NEAR(labels.result.loss, .6309660, 1e-7);
  EXPECT_NEAR(soft.result.loss, 1.2619321, 1e-7);
  expect_near(soft.loss, labels.loss, 1e-15);
}

TEST(PyTorch, EmptyAxes) {
  std::vector<double> z(1);
  for (const auto& [outer, inner] : {std::pair(0, 1), std::pair(0, 35), std::pair(2, 0)}) {
    const Logits logits(z.data(), outer, 3, inner);
    const std::vector<int> none;
    EXPECT_TRUE(std::isnan(cross_entropy(logits, none, Gradient{z.data(), outer, 3, inner}).loss));
    EXPECT_EQ(cross_entropy(logits, none, {.reduction = Reduction::sum}).loss, 0);
    EXPECT_EQ(cross_entropy(logits, dense(Rows(z.data(), outer, 3, inner)), {.empty = Empty::zero}).loss, 0);
  }
  EXPECT_EQ(z[0], 0) << "written";
}

// PyTorch takes -0.1 and NaN for "no smoothing"; here they are errors.
TEST(PyTorch, AmountsThatAreNone) {
  for (const double amount : {1.2, -.1, kNan, kInf}) {
    for (const auto& rule : {uniform(amount), others(amount), flip(amount), additive(amount)})
      EXPECT_NE(error_of([&] { ask(kTwo, 2, kZeroOne, {.smoothing = rule}); }), "no error") << amount;
  }
  EXPECT_EQ(ask({1, 2, 3, 4}, 2, kZeroOne, {.smoothing = uniform(1)}).loss.size(), 2);
  for (const int64_t label : {int64_t{2}, int64_t{-1}, int64_t{INT32_MIN}})
    EXPECT_NE(error_of([&] { ask(kTwo, 2, std::vector<int64_t>{0, label}); }), "no error");
}

// The optimum of smoothing with class weights: weights per term move it, weights of the label do not.
TEST(PyTorch, ClassWeightsChangeSmoothing) {
  const std::vector<int> label = {0};
  const auto expect_optimum = [&](double weight, Weighting weighting, double p) {
    const std::vector<double> z = {std::log(p), std::log(1 - p)}, weights = {1, weight};
    const Answer answer =
        ask(z, 2, label, {.smoothing = uniform(.1), .class_weights = weights, .weighting = weighting});
    expect_near(answer.gradient, {0, 0}, 1e-11 * weight);
  };
  expect_optimum(1, Weighting::per_term, .95);
  expect_optimum(10, Weighting::per_term, .655172413793);
  expect_optimum(100, Weighting::per_term, .159663865546);
  for (const double weight : {1., 10., 100.}) {
    expect_optimum(weight, Weighting::label, .95);
    expect_optimum(weight, Weighting::expected, .95);
  }
}

TEST(PyTorch, NegativeClassWeights) {
  const std::vector<double> weights = {-1, 2};
  EXPECT_NEAR(ask(kTwo, 2, kZeroOne, {.class_weights = weights, .reduction = Reduction::sum}).result.loss,
              .048587351574, 1e-12);
}

// ---- Liger, flash-attn, Gemma: modifiers ----

TEST(Liger, ZLossAndSoftCap) {
  const Answer z_loss = ask({1, 2, 3}, 3, std::vector<int>{2}, {.smoothing = uniform(.1), .z_loss = 1e-4});
  EXPECT_NEAR(z_loss.result.loss, .508767142285, 1e-12);
  expect_near(z_loss.gradient, {.056758597581, .211561925361, -.267639001749}, 1e-12);
  const Answer capped = ask({40, -5, .5}, 3, std::vector<int>{0}, {.smoothing = uniform(.1), .soft_cap = 30});
  EXPECT_NEAR(capped.result.loss, 1.888598612789, 1e-12);
  expect_near(capped.gradient, {.016199513649, -.032424288134, -.033324075781}, 1e-12);
}

TEST(Liger, AnyIgnoreIndex) {
  const Batch<double> batch(3, 60, 5);
  for (const int64_t ignored : {2, -123, 1, -300, 42, -42, -100}) {
    const std::vector<int64_t> labels = {7, ignored, 9};
    const Answer answer = ask(batch.z, 60, labels, {.smoothing = uniform(.2), .ignore_index = ignored});
    EXPECT_EQ(answer.result.counted, 2);
    EXPECT_EQ(answer.loss[1], 0);
  }
}

TEST(FlashAttention, AllOptionsOfItsSuiteOverAVocabulary) {
  LossCase c = base_case(50257, 7, 1, 2);
  c.labels[1] = -100;
  c.options = {.smoothing = uniform(.9), .scale = .7, .z_loss = 1e-2, .reduction = Reduction::none};
  c.write = Write::in_place;
  c.upstream_rows = {.3, 2};
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    c.dtype = dtype;
    expect_reference(c);
  }
}

// One possible class anywhere, the borders of chunks included, by logits or by mask.
TEST(FlashAttention, AllButOneImpossible) {
  constexpr int64_t kClasses = 100000;
  for (const int64_t at : {0, 1, 32767, 32768, 50000, 65535, 65536, 98303, 98304, 99999}) {
    std::vector<float> z(kClasses, -std::numeric_limits<float>::infinity()), dz(kClasses, 7);
    std::vector<uint8_t> mask(kClasses);
    z[at] = 10, mask[at] = 1;
    const std::vector<int64_t> label = {at};
    const std::vector<float> zero(kClasses);
    const Options finite = {.smoothing = uniform(.1), .support = Support::finite};
    EXPECT_EQ(cross_entropy({z.data(), 1, kClasses}, label, Gradient{dz.data(), 1, kClasses}, finite).loss, 0)
        << at;
    EXPECT_EQ(dz, zero) << at;
    Options masked = finite;
    masked.mask = Rows(mask.data(), 1, kClasses);
    std::vector<float> any(kClasses, 3);
    EXPECT_EQ(cross_entropy({any.data(), 1, kClasses}, label, Gradient{dz.data(), 1, kClasses}, masked).loss,
              0)
        << at;
    EXPECT_EQ(dz, zero) << at;
  }
}

// ---- Quack, Transformer Engine ----

TEST(Quack, EqualLogitsCostTheLogarithmOfTheClasses) {
  for (const int64_t classes : {192, 1024, 128256}) {
    for (const float value : {10.f, -10.f, 100.f}) {
      const std::vector<float> z(classes, value);
      for (const int64_t label : {int64_t{0}, classes - 1}) {
        for (const double amount : {0., .1}) {
          const Result result = cross_entropy({z.data(), 1, classes}, std::vector<int64_t>{label},
                                              {.smoothing = uniform(amount)});
          EXPECT_NEAR(result.loss, std::log(double(classes)), 1e-14 * classes);
        }
      }
    }
  }
}

// The gradient in bf16 is that in f32, rounded once; the logits stay as they are.
TEST(TransformerEngine, Bf16GradientIsTheRoundedOne) {
  std::vector<bf16> z(12), dz(12);
  const std::vector<float> z32(12), rows = {.01f, .03f, .1f, .7f};
  std::vector<float> dz32(12);
  const std::vector<int> labels = {0, 1, 2, -100};
  const Options none = {.reduction = Reduction::none};
  cross_entropy({z.data(), 4, 3}, labels, Gradient{dz.data(), 4, 3}, none, {}, {.rows = rows});
  cross_entropy({z32.data(), 4, 3}, labels, Gradient{dz32.data(), 4, 3}, none, {}, {.rows = rows});
  for (int i = 0; i < 12; ++i) {
    bf16 rounded;
    narrow(dz32[i], rounded);
    EXPECT_EQ(dz[i].bits, rounded.bits) << i;
    EXPECT_EQ(z[i].bits, 0);
  }
}

TEST(TransformerEngine, HalvesHaveTheLossOfTheirValues) {
  LossCase half = base_case(64000, 3, 2, 1), same = half;
  for (const DType dtype : {DType::bf16, DType::f16}) {
    half.dtype = dtype;
    same.logits = rounded(half.logits, dtype);
    EXPECT_EQ(run(half).result.loss, run(same).result.loss) << name(dtype);
  }
}

// A sum of 3e5 passes the largest f16.
TEST(Transformers, F16OverAVocabulary) {
  LossCase c = base_case(50264, 11, 1, 2);
  c.dtype = DType::f16;
  c.options.smoothing = uniform(.1);
  expect_reference(c);
}

// ---- T5X ----

// Tokens weighed by 1 / length, so that each of two sequences counts once.
TEST(T5x, MeanOfSequences) {
  const Batch<double> batch(10, 7, 15);
  const std::vector<int> tokens = {1, 2, 3, 4, 0, 5, 6, 0, 0, 0};
  const std::vector<double> weights = {.25, .25, .25, .25, 0, .5, .5, 0, 0, 0};
  const Options padded = {.smoothing = others(.1), .ignore_index = 0};
  const Answer plain = ask(batch.z, 7, tokens, padded);
  EXPECT_EQ(plain.result.counted, 6);
  EXPECT_EQ(plain.result.denominator, 6);
  Options by_sequence = padded;
  by_sequence.row_weights = weights;
  by_sequence.denominator = {Denominator::constant, 2};
  const auto& l = plain.loss;
  EXPECT_NEAR(ask(batch.z, 7, tokens, by_sequence).result.loss,
              ((l[0] + l[1] + l[2] + l[3]) / 4 + (l[5] + l[6]) / 2) / 2, 1e-14);
  by_sequence.denominator = {};
  EXPECT_EQ(ask(batch.z, 7, tokens, by_sequence).result.denominator, 2) << "the weights sum to it too";
}

// ---- The floor, and rules in terms of one another ----

TEST(Floor, IsTheEntropyOfTheTarget) {
  const auto expect_floor = [](const Smoothing& smoothing, int64_t classes, double floor) {
    std::vector<double> z;
    for (const double q : target(smoothing, classes, 1)) z.push_back(std::log(q));
    const Answer answer = ask(z, classes, std::vector<int>{1}, {.smoothing = smoothing});
    EXPECT_NEAR(answer.result.loss, floor, 1e-11);
    for (const double dz : answer.gradient) ASSERT_NEAR(dz, 0, 1e-15);
  };
  expect_floor(uniform(.1), 2, .198515243346);
  expect_floor(others(.1), 2, .325082973391);
  expect_floor(uniform(.1), 1000, 1.014847997749);
  expect_floor(uniform(.1), 32000, 1.362389683077);
}

TEST(Rules, InTermsOfUniform) {
  const Batch<double> batch(4, 5, 25);
  const auto loss = [&](const Smoothing& smoothing) {
    return ask(batch.z, 5, batch.labels, {.smoothing = smoothing}).loss;
  };
  expect_near(loss(others(.1)), loss(uniform(.125)), 1e-14);
  for (const Smoothing& rule : {flip(.1), additive(.1)}) {
    const auto [amount, scale] = as_uniform(rule, 5);
    auto expected = loss(uniform(amount));
    for (double& value : expected) value *= scale;
    expect_near(loss(rule), expected, 1e-13);
  }
}

// Smoothing raises the loss of a row exactly where the label's p is above the geometric mean of all.
TEST(Rules, SmoothingLowersTheLossOfAMistake) {
  const std::vector<double> right = {std::log(.1), std::log(.1), std::log(.1), std::log(.36), std::log(.34)},
                            wrong = {std::log(.24), std::log(.24), std::log(.24), std::log(.04),
                                     std::log(.24)};
  const std::vector<int> label = {3};
  EXPECT_NEAR(ask(right, 5, label, {.smoothing = uniform(.1)}).result.loss, 1.099650446537, 1e-12);
  EXPECT_NEAR(ask(wrong, 5, label).result.loss, 3.218875824868, 1e-12);
  EXPECT_NEAR(ask(wrong, 5, label, {.smoothing = uniform(.1)}).result.loss, 3.075535067330, 1e-12);
}

// ---- Support ----

TEST(Support, SmoothingStaysWithinIt) {
  const std::vector<int> label = {1};
  const std::vector<uint8_t> mask = {1, 1, 0};
  const Options finite = {.smoothing = uniform(.1), .support = Support::finite};
  Options masked = finite;
  masked.mask = Rows(mask.data(), 1, 3);
  for (const auto& [z, options] : {std::pair(std::vector<double>{1, 2, kMinusInf}, finite),
                                   std::pair(std::vector<double>{1, 2, 9}, masked)}) {
    const Answer answer = ask(z, 3, label, options);
    EXPECT_NEAR(answer.result.loss, .363261687518, 1e-12);
    expect_near(answer.gradient, {.218941421370, -.218941421370, 0}, 1e-12);
    EXPECT_EQ(answer.gradient[2], 0);
  }
  // As PyTorch: the smoothed mass of an impossible class costs everything, and pulls at its logit.
  const Answer all = ask({1, 2, kMinusInf}, 3, label, {.smoothing = uniform(.1)});
  EXPECT_EQ(all.result.loss, kInf);
  EXPECT_NEAR(all.gradient[2], -.1 / 3, 1e-15);
  EXPECT_NEAR(ask({1, 2, kMinusInf}, 3, label).result.loss, .313261687518, 1e-12);
}

}  // namespace
}  // namespace labelsmooth
