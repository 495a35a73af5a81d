// SPDX-License-Identifier: MIT
#include "labelsmooth/cross_entropy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>  // waitpid
#include <unistd.h>    // fork, alarm

#include <array>    // std::array
#include <cmath>    // std::isnan, std::log
#include <cstdlib>  // std::atexit, std::exit
#include <cstring>  // std::memcmp
#include <numbers>  // std::numbers::ln2
#include <thread>   // std::thread
#include <vector>   // std::vector
#ifdef __SSE__
#include <xmmintrin.h>  // _mm_getcsr
#endif

#include "batch.h"
#include "error_of.h"
#include "labelsmooth/parallel.h"

namespace labelsmooth {
namespace {

using ::testing::HasSubstr;

std::vector<double> row_losses(const Logits& logits, const Vector& labels, const Options& options) {
  std::vector<double> losses(static_cast<size_t>(logits.rows()));
  cross_entropy(logits, labels, options, {.loss = losses});
  return losses;
}

template <class T>
std::vector<T> gradient_of(const Batch<T>& batch, const Options& options, const Upstream& upstream = {}) {
  std::vector<T> dz(batch.z.size());
  cross_entropy(batch.logits(), batch.labels, {dz.data(), batch.rows, batch.classes}, options, {}, upstream);
  return dz;
}

const Smoothing kRules[] = {{}, uniform(.1), others(.1), flip(.1), additive(.1), uniform(1)};

// ---- Published figures ----

// The document's example: p = [.1, .1, .1, .36, .34], label 3.
TEST(Golden, DocumentExample) {
  const std::vector<double> p = {.1, .1, .1, .36, .34};
  std::vector<double> z;
  for (const double value : p) z.push_back(std::log(value));
  const std::vector<int> label = {3};
  const auto loss = [&](const Smoothing& rule) {
    return cross_entropy({z.data(), 1, 5}, label, {.smoothing = rule}).loss;
  };
  EXPECT_NEAR(loss({}), 1.021651247532, 1e-12);
  EXPECT_NEAR(loss(flip(.1)), 1.718142616814, 1e-12);
  EXPECT_NEAR(loss(additive(.1)), 1.820307741567, 1e-12);
  EXPECT_NEAR(loss(uniform(.1)), 1.099650446537, 1e-12);
  EXPECT_NEAR(loss(others(.1)), 1.119150246288, 1e-12);

  const auto gradient = [&](const Smoothing& rule) {
    std::vector<double> dz(5);
    cross_entropy({z.data(), 1, 5}, label, Gradient{dz.data(), 1, 5}, {.smoothing = rule});
    return dz;
  };
  const auto expect = [&](const Smoothing& rule, const std::vector<double>& truth) {
    const auto dz = gradient(rule);
    for (int k = 0; k < 5; ++k) EXPECT_NEAR(dz[k], truth[k], 1e-15);
  };
  expect({}, {.1, .1, .1, -.64, .34});
  expect(flip(.1), {.03, .03, .03, -.432, .342});
  expect(additive(.1), {.04, .04, .04, -.496, .376});
  expect(uniform(.1), {.08, .08, .08, -.56, .32});
  expect(others(.1), {.075, .075, .075, -.54, .315});
}

TEST(Golden, TwoClasses) {
  const std::vector<float> z = {2, -1, -1, 2};
  const std::vector<int> labels = {0, 1};
  for (const double loss : row_losses({z.data(), 2, 2}, labels, {.smoothing = uniform(.3)})) {
    EXPECT_NEAR(loss, 0.498587351574, 1e-7);
  }
  for (const double loss : row_losses({z.data(), 2, 2}, labels, {})) EXPECT_NEAR(loss, 0.048587351574, 1e-8);
}

TEST(Golden, ThreeClasses) {
  const std::vector<double> z = {1.2, -.8, -.5, .9, -1.2, 1.1};
  const std::vector<int> labels = {0, 1};
  const auto expect = [&](const Smoothing& rule, double first, double second) {
    const auto loss = row_losses({z.data(), 2, 3}, labels, {.smoothing = rule});
    EXPECT_NEAR(loss[0], first, 1e-12);
    EXPECT_NEAR(loss[1], second, 1e-12);
  };
  expect({}, 0.276129705546, 2.951798795854);
  expect(uniform(.1), 0.399463038879, 2.805132129188);
  expect(others(.1), 0.461129705546, 2.731798795854);
}

TEST(Golden, FarLogitsDoNotUnderflow) {
  const std::vector<float> z = {100, -100, -100};
  EXPECT_NEAR(cross_entropy({z.data(), 1, 3}, std::vector<int>{0}, {.smoothing = uniform(.1)}).loss, 40. / 3,
              1e-5);
  EXPECT_EQ(cross_entropy({z.data(), 1, 3}, std::vector<int>{1}).loss, 200);
}

// PyTorch: the mean over index labels divides by the labels' weights.
TEST(Golden, ClassWeights) {
  const std::vector<double> z = {1, 2, 3, 0, 0, 0}, weights = {1, 2, 3};
  const std::vector<int> labels = {2, 0};
  const Result result =
      cross_entropy({z.data(), 2, 3}, labels, {.smoothing = uniform(.1), .class_weights = weights});
  EXPECT_NEAR(result.loss, .6309660, 1e-7);
  EXPECT_EQ(result.denominator, 4);
}

TEST(Golden, OffsetDoesNotMatter) {
  for (const double offset : {0., 1e4, 1e6}) {
    const std::vector<float> z = {float(2 + offset), float(-1 + offset)};
    EXPECT_NEAR(cross_entropy({z.data(), 1, 2}, std::vector<int>{0}).loss, .048587351574, 1e-8) << offset;
    EXPECT_NEAR(cross_entropy({z.data(), 1, 2}, std::vector<int>{0}, {.smoothing = uniform(.3)}).loss,
                .498587351574, 1e-7);
  }
  for (const float value : {1.f, 1e4f, 1e8f, 1e20f}) {
    const std::vector<float> z = {value, value};
    EXPECT_NEAR(cross_entropy({z.data(), 1, 2}, std::vector<int>{0}).loss, std::numbers::ln2, 1e-15);
  }
}

// ---- Against the reference ----

template <class T>
void expect_reference_over_shapes() {
  std::vector<double> weights, prior;
  // Around the lane counts (1 to 16), the block (32 vectors) and the row that is not a multiple of anything.
  for (const int64_t classes : {1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 33, 100, 511, 512, 513, 1000}) {
    const Batch<T> batch(classes > 100 ? 2 : 5, classes, static_cast<uint64_t>(classes));
    weights.assign(classes, 0);
    prior.assign(classes, 0);
    for (int64_t k = 0; k < classes; ++k) weights[k] = .25 * double((k * 7) % 9), prior[k] = double(k % 4);
    double sum = 0;
    for (const double value : prior) sum += value;
    for (double& value : prior) value = sum == 0 ? 1 / double(classes) : value / sum;
    for (const Smoothing& rule : kRules) {
      if (classes == 1 && rule.rule == Rule::others) continue;
      expect_reference(batch, {.smoothing = rule});
      expect_reference(batch, {.smoothing = rule, .class_weights = weights});
    }
    expect_reference(batch, {.smoothing = uniform(.3, prior)});
    expect_reference(batch, {.smoothing = uniform(.3, prior), .class_weights = weights});
  }
}

TEST(Reference, EveryIsaShapeAndRuleF32) { for_each_isa(expect_reference_over_shapes<float>); }
TEST(Reference, EveryIsaShapeAndRuleF64) { for_each_isa(expect_reference_over_shapes<double>); }

// More classes than a chunk, and one class past it.
TEST(Reference, SeveralChunks) {
  for_each_isa([] {
    for (const int64_t classes : {32768, 32769, 70000}) {
      expect_reference(Batch<float>(2, classes, 1), {.smoothing = uniform(.1)});
    }
    expect_reference(Batch<double>(1, 70000, 1), {.smoothing = others(.1)});
  });
}

TEST(Reference, HardInputs) {
  for_each_isa([] {
    for (const double offset : {0., 90., -90., 1e4, 1e6}) {
      expect_reference(Batch<float>(4, 37, 5, 3, offset), {.smoothing = uniform(.1)});
    }
    for (const double spread : {1e-6, 30., 300., 1e5}) {
      expect_reference(Batch<float>(4, 37, 6, spread), {.smoothing = uniform(.1)});
      expect_reference(Batch<double>(4, 37, 6, spread), {.smoothing = flip(.1)});
    }
    Batch<float> ties(3, 20, 7);
    for (float& value : ties.z) value = std::round(value / 3);
    expect_reference(ties, {.smoothing = uniform(.1)});
    Batch<float> equal(3, 40, 7, 0);
    expect_reference(equal, {.smoothing = additive(.1)});
  });
}

// Confident rows: relative 1e-5 down to losses of 1e-30, where 1 + tail is 1 in f32 and in f64.
TEST(Reference, ConfidentRowsKeepTheirDigits) {
  for_each_isa([] {
    for (const float gap : {5.f, 17.f, 20.f, 40.f, 69.f}) {
      const std::vector<float> z = {0, gap, .5f, -1};
      std::vector<float> dz(4);
      const std::vector<int> label = {1};
      const double loss = cross_entropy({z.data(), 1, 4}, label, Gradient{dz.data(), 1, 4}).loss;
      const auto truth =
          reference::truth({.logits = {0, gap, .5L, -1}, .label_part = {0, 1, 0, 0}, .label = 1});
      EXPECT_NEAR(loss, double(truth.loss), 1e-5 * double(truth.loss)) << isa() << " gap " << gap;
      for (int k = 0; k < 4; ++k) {
        const double p = std::exp(double(truth.log_probability[k])),
                     truth_k = k == 1 ? -loss : p;  // p - 1 = -loss to first order
        EXPECT_NEAR(dz[k], truth_k, 1e-2 * std::abs(truth_k)) << isa() << " gap " << gap << " class " << k;
      }
    }
  });
}

TEST(Reference, FiniteDifferences) {
  std::vector<double> weights = {.5, 2, 1, 0, 3}, prior = {.1, .2, .3, .4, 0};
  for (const Smoothing& rule :
       {Smoothing{}, uniform(.2), others(.2), flip(.2), additive(.2), uniform(.2, prior)}) {
    for (const bool weighted : {false, true}) {
      for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
        Batch<double> batch(4, 5, 11, 1);
        batch.labels[2] = -100;
        const Options options = {.smoothing = rule,
                                 .class_weights = weighted ? Vector(weights) : Vector(),
                                 .reduction = reduction};
        const auto dz = gradient_of(batch, options);
        for (size_t i = 0; i < batch.z.size(); ++i) {
          const double z = batch.z[i], h = 1e-5;
          batch.z[i] = z + h;
          const double above = cross_entropy(batch.logits(), batch.labels, options).loss;
          batch.z[i] = z - h;
          const double below = cross_entropy(batch.logits(), batch.labels, options).loss;
          batch.z[i] = z;
          EXPECT_NEAR(dz[i], (above - below) / (2 * h), 1e-9)
              << " rule " << int(rule.rule) << " element " << i;
        }
      }
    }
  }
}

// With any rule and any weights the softmax moves mass about, it makes none.
TEST(Reference, RowsOfTheGradientSumToZero) {
  const std::vector<double> weights = {1, 2, .5, 0, 3, 1, 1};
  for (const Smoothing& rule : kRules) {
    const Batch<double> batch(9, 7, 13);
    const auto dz =
        gradient_of(batch, {.smoothing = rule, .class_weights = weights, .reduction = Reduction::sum});
    for (int64_t row = 0; row < 9; ++row) {
      double sum = 0;
      for (int64_t k = 0; k < 7; ++k) sum += dz[row * 7 + k];
      EXPECT_NEAR(sum, 0, 1e-14);
    }
  }
}

// ---- Options ----

TEST(Options, ReductionsAndUpstream) {
  const Batch<double> batch(5, 6, 17);
  const auto losses = row_losses(batch.logits(), batch.labels, {.smoothing = uniform(.1)});
  double sum = 0;
  for (const double loss : losses) sum += loss;
  const auto reduced = [&](Reduction reduction) {
    return cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.1), .reduction = reduction})
        .loss;
  };
  EXPECT_DOUBLE_EQ(reduced(Reduction::sum), sum);
  EXPECT_DOUBLE_EQ(reduced(Reduction::mean), sum / 5);
  EXPECT_TRUE(std::isnan(reduced(Reduction::none)));

  const std::vector<float> rows = {1, 0, -2, .5, 3};
  const auto plain = gradient_of(batch, {.reduction = Reduction::sum});
  const auto scaled = gradient_of(batch, {.reduction = Reduction::sum}, {.scalar = -3});
  const auto mean = gradient_of(batch, {});
  const auto by_row = gradient_of(batch, {.reduction = Reduction::none}, {.scalar = 2, .rows = rows});
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_NEAR(scaled[i], -3 * plain[i], 1e-15);
    EXPECT_NEAR(mean[i], plain[i] / 5, 1e-15);
    EXPECT_NEAR(by_row[i], 2 * double(rows[i / 6]) * plain[i], 1e-15);
  }
}

TEST(Options, IgnoredRowsAffectNothing) {
  for_each_isa([] {
    Batch<float> batch(6, 9, 19);
    Batch<float> kept = batch;
    kept.z.erase(kept.z.begin() + 18, kept.z.begin() + 27);
    kept.labels.erase(kept.labels.begin() + 2);
    kept.rows = 5;
    batch.labels[2] = 4;  // a real class can be the ignored one
    for (int64_t row = 0; row < 6; ++row) {
      if (row != 2 && batch.labels[row] == 4) batch.labels[row] = kept.labels[row - (row > 2)] = 5;
    }
    for (int k = 0; k < 9; ++k)
      batch.at(2, k) = k % 2 ? std::nanf("") : std::numeric_limits<float>::infinity();
    const std::vector<double> weights = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (const Smoothing& rule : kRules) {
      const Options options = {.smoothing = rule, .class_weights = weights, .ignore_index = 4};
      const Result with = cross_entropy(batch.logits(), batch.labels, options);
      const Result without = cross_entropy(kept.logits(), kept.labels, options);
      EXPECT_DOUBLE_EQ(with.loss, without.loss);
      EXPECT_DOUBLE_EQ(with.nll, without.nll);
      EXPECT_EQ(with.denominator, without.denominator);
      EXPECT_EQ(with.counted, 5);
      EXPECT_EQ(with.rows, 6);
      EXPECT_EQ(with.correct, without.correct);
      auto dz = gradient_of(batch, options);
      for (int k = 18; k < 27; ++k) EXPECT_EQ(dz[k], 0);
      dz.erase(dz.begin() + 18, dz.begin() + 27);
      EXPECT_EQ(dz, gradient_of(kept, options));
    }
  });
}

TEST(Options, IgnoreIndexCanBeSwitchedOff) {
  const Batch<float> batch(3, 4, 23);
  const std::vector<int> labels = {0, -100, 1};
  EXPECT_EQ(cross_entropy(batch.logits(), labels).counted, 2);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), labels, {.ignore_index = {}}); }),
            "labels: row 1 has -100, 0 to 3 are allowed");
}

TEST(Options, EmptyMeans) {
  const Batch<float> batch(2, 3, 29);
  const std::vector<int> ignored = {-100, -100}, labels = {0, 0};
  const std::vector<float> no_weight = {0, 1, 1};
  EXPECT_EQ(cross_entropy(batch.logits(), ignored, {.reduction = Reduction::sum, .empty = Empty::error}).loss,
            0)
      << "a sum over nothing is 0";
  std::vector<float> dz(6);
  const Gradient gradient(dz.data(), 2, 3);

  Result result = cross_entropy(batch.logits(), ignored, gradient);
  EXPECT_TRUE(std::isnan(result.loss) && std::isnan(result.nll));
  EXPECT_EQ(dz, std::vector<float>(6, 0)) << "ignored rows have no gradient";
  result = cross_entropy(batch.logits(), ignored, {.empty = Empty::zero});
  EXPECT_EQ(result.loss, 0);
  EXPECT_EQ(result.nll, 0);
  EXPECT_EQ(cross_entropy(batch.logits(), ignored, {.reduction = Reduction::sum}).loss, 0);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), ignored, {.empty = Empty::error}); }),
            "labels: no row counts, so there is no mean");

  result = cross_entropy(batch.logits(), labels, gradient, {.class_weights = no_weight});
  EXPECT_TRUE(std::isnan(result.loss));
  EXPECT_FALSE(std::isnan(result.nll)) << "the hard-label mean has no weights";
  for (const float value : dz) EXPECT_TRUE(std::isnan(value));
  result =
      cross_entropy(batch.logits(), labels, gradient, {.class_weights = no_weight, .empty = Empty::zero});
  EXPECT_EQ(result.loss, 0);
  EXPECT_EQ(dz, std::vector<float>(6, 0));
  EXPECT_THAT(error_of([&] {
                cross_entropy(batch.logits(), labels, {.class_weights = no_weight, .empty = Empty::error});
              }),
              HasSubstr("weights sum to 0"));

  const Result none = cross_entropy(Logits(dz.data(), 0, 3), std::vector<int>{});
  EXPECT_TRUE(std::isnan(none.loss));
  EXPECT_EQ(none.rows, 0);
  EXPECT_EQ(cross_entropy(Logits(dz.data(), 0, 3), std::vector<int>{}, {.reduction = Reduction::sum}).loss,
            0);
}

TEST(Options, UnitWeightsAndUniformPriorChangeNothing) {
  const Batch<double> batch(7, 11, 31);
  const std::vector<double> ones(11, 1), prior(11, 1. / 11);
  const double plain = cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.2)}).loss;
  EXPECT_NEAR(
      cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.2), .class_weights = ones}).loss,
      plain, 1e-15);
  EXPECT_NEAR(cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.2, prior)}).loss, plain,
              1e-15);
  std::vector<double> heavier = prior;  // within the tolerance of 1, and normalised
  for (double& value : heavier) value *= 1 + 9e-7;
  EXPECT_NEAR(cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.2, heavier)}).loss, plain,
              1e-14);
}

TEST(Options, EveryLabelType) {
  const Batch<float> batch(6, 12, 37);
  const double loss = cross_entropy(batch.logits(), batch.labels).loss;
  const auto expect = [&]<class T>(T) {
    EXPECT_EQ(cross_entropy(batch.logits(), std::vector<T>(batch.labels.begin(), batch.labels.end())).loss,
              loss);
  };
  expect(int8_t{}), expect(uint8_t{}), expect(int16_t{}), expect(uint16_t{});
  expect(int32_t{}), expect(uint32_t{}), expect(int64_t{}), expect(uint64_t{});
}

// ---- NaN and infinity ----

TEST(Special, NanStaysInItsRow) {
  for_each_isa([] {
    for (int at = 0; at < 40; ++at) {
      Batch<float> batch(3, 40, 41);
      const auto clean = gradient_of(batch, {.smoothing = uniform(.1), .reduction = Reduction::none});
      batch.at(1, at) = std::nanf("");
      std::vector<double> loss(3);
      std::vector<int64_t> argmax(3);
      const Options options = {.smoothing = uniform(.1), .reduction = Reduction::none};
      cross_entropy(batch.logits(), batch.labels, options, {.loss = loss, .argmax = argmax});
      EXPECT_FALSE(std::isnan(loss[0]) || std::isnan(loss[2]));
      EXPECT_TRUE(std::isnan(loss[1]));
      EXPECT_EQ(argmax[1], at);
      const auto dz = gradient_of(batch, options);
      for (int i = 0; i < 120; ++i) {
        if (i / 40 == 1) {
          EXPECT_TRUE(std::isnan(dz[i]));
        } else {
          EXPECT_EQ(dz[i], clean[i]);
        }
      }
      EXPECT_TRUE(std::isnan(cross_entropy(batch.logits(), batch.labels).loss));
    }
  });
}

// Without smoothing no sum over all classes meets the NaN: not even where it is the argmax, which the tail
// leaves out, and a later class is larger than all that follow.
template <class T>
void expect_nan_of_unsmoothed_rows(int64_t classes) {
  for (int64_t at = 0; at < classes; at += 1 + classes / 7) {
    Batch<T> batch(40, classes, 43);
    for (int64_t row = 0; row < 40; row += 3) {
      batch.at(row, at) = std::numeric_limits<T>::quiet_NaN();
      batch.at(row, (at + 1) % classes) = 50;
      batch.labels[row] = (at + 1) % classes;
    }
    std::vector<double> loss(40);
    std::vector<int64_t> argmax(40);
    const Options options = {.reduction = Reduction::none};
    cross_entropy(batch.logits(), batch.labels, options, {.loss = loss, .argmax = argmax});
    const auto dz = gradient_of(batch, options);
    for (int64_t row = 0; row < 40; ++row) {
      const bool nan = row % 3 == 0;
      ASSERT_EQ(std::isnan(loss[row]), nan)
          << isa() << " classes " << classes << " at " << at << " row " << row;
      ASSERT_TRUE(!nan || argmax[row] == at) << argmax[row];
      for (int64_t k = 0; k < classes; ++k) ASSERT_EQ(std::isnan(dz[row * classes + k]), nan);
    }
  }
}
TEST(Special, NanOfUnsmoothedRows) {
  for_each_isa([] {
    for (const int64_t classes : {2, 3, 10, 16, 17, 100, 400, 401, 1300}) {
      expect_nan_of_unsmoothed_rows<float>(classes);
      expect_nan_of_unsmoothed_rows<double>(classes);
    }
  });
}

TEST(Special, ImpossibleClass) {
  for_each_isa([] {
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<float> z = {1, 2, -inf};
    const auto call = [&](int label, const Options& options) {
      std::vector<float> dz(3);
      const Result result =
          cross_entropy({z.data(), 1, 3}, std::vector<int>{label}, Gradient{dz.data(), 1, 3}, options);
      return std::pair(result, dz);
    };
    auto [hard, dz] = call(1, {});
    EXPECT_NEAR(hard.loss, .313261687518, 1e-7);
    EXPECT_EQ(dz[2], 0) << "no mass, no gradient";
    EXPECT_EQ(hard.first_impossible_row, -1);

    auto [smooth, smooth_dz] = call(1, {.smoothing = uniform(.1)});
    EXPECT_EQ(smooth.loss, kInf);
    EXPECT_NEAR(smooth_dz[2], -.1 / 3, 1e-8) << "the formula, as in PyTorch";
    EXPECT_NEAR(smooth.nll, .313261687518, 1e-7);

    const std::vector<double> prior = {.5, .5, 0};
    auto [masked, masked_dz] = call(1, {.smoothing = uniform(.1, prior)});
    EXPECT_NEAR(masked.loss, .363261687518, 1e-7);
    EXPECT_NEAR(masked_dz[0], .218941421370, 1e-7);
    EXPECT_NEAR(masked_dz[1], -.218941421370, 1e-7);
    EXPECT_EQ(masked_dz[2], 0);

    auto [impossible, impossible_dz] = call(2, {});
    EXPECT_EQ(impossible.loss, kInf);
    EXPECT_EQ(impossible.first_impossible_row, 0);
    EXPECT_EQ(impossible_dz[2], -1);
    EXPECT_NEAR(impossible_dz[0], .268941421370, 1e-7);

    const std::vector<float> rows = {1, 2, 3, -inf, 1, 2, -inf, 1, 1};
    EXPECT_EQ(cross_entropy({rows.data(), 3, 3}, std::vector<int>{0, 0, 0}).first_impossible_row, 1);
  });
}

TEST(Special, RowsWithoutAValueAreNan) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& z : {std::vector<float>{-inf, -inf, -inf}, {1, inf, 2}, {inf, inf, 0}}) {
    std::vector<float> dz(3);
    std::vector<double> lse(1), entropy(1), confidence(1);
    const Result result = cross_entropy({z.data(), 1, 3}, std::vector<int>{0}, Gradient{dz.data(), 1, 3}, {},
                                        {.lse = lse, .confidence = confidence, .entropy = entropy});
    EXPECT_TRUE(std::isnan(result.loss) && std::isnan(lse[0]) && std::isnan(entropy[0]));
    EXPECT_TRUE(std::isnan(result.nll) && std::isnan(confidence[0]));
    EXPECT_EQ(result.correct, 0);
    EXPECT_EQ(result.first_impossible_row, -1);
    for (const float value : dz) EXPECT_TRUE(std::isnan(value));
  }
}

// Finite stand-ins for -inf: z - max and its sums overflow f32, the loss does not.
TEST(Special, FiniteMasks) {
  for_each_isa([] {
    const float most = std::numeric_limits<float>::max();
    std::vector<float> z(64, -most);
    z[0] = 1, z[1] = 2;
    const std::vector<int> label = {1};
    const double truth = .1 * 62 / 64 * double(most);
    EXPECT_NEAR(cross_entropy({z.data(), 1, 64}, label, {.smoothing = uniform(.1)}).loss, truth,
                1e-6 * truth);
    std::vector<float> weights(64, 1);
    weights[0] = -.5f;
    EXPECT_NEAR(
        cross_entropy({z.data(), 1, 64}, label, {.smoothing = uniform(.1), .class_weights = weights}).loss,
        truth, 1e-6 * truth);
    const std::vector<float> apart = {most, -most, 0};
    EXPECT_NEAR(cross_entropy({apart.data(), 1, 3}, std::vector<int>{0}, {.smoothing = uniform(.1)}).loss,
                .1 / 3 * 3 * double(most), 1e32);
  });
}

// Beyond flip 1/2 the label is the least likely class, and its own large term has to cancel.
TEST(Special, NegativeOnehotWeight) {
  for_each_isa([] {
    const std::vector<double> one = {1};
    for (const float gap : {30.1f, 80.3f, 1e4f, 1e5f}) {
      for (const float first : {0.f, .1f}) {  // .1 + gap is not an f32
        for (const Smoothing& rule : {flip(1), Smoothing{.rule = Rule::flip, .amount_by_row = one}}) {
          const std::vector<float> z = {first, -gap};
          std::vector<float> dz(2);
          const Result result = cross_entropy({z.data(), 1, 2}, std::vector<int>{1},
                                              Gradient{dz.data(), 1, 2}, {.smoothing = rule});
          const double p = std::exp(-double(gap) - double(first));
          EXPECT_NEAR(result.loss, p, 1e-10) << gap;
          EXPECT_NEAR(dz[1], p, 1e-5 * p + 1e-38) << gap;
        }
      }
    }
    for (const double amount : {.6, .95, 1.}) {
      expect_reference(Batch<float>(5, 10, 97), {.smoothing = others(amount)});
      expect_reference(Batch<double>(5, 10, 97), {.smoothing = flip(amount)});
    }
  });
}

// -inf before the first finite logit, across whole blocks and chunks: an online softmax gives NaN here.
TEST(Special, OnePossibleClassAnywhere) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const int64_t classes : {40, 1100, 70000}) {
    for (const int64_t at : {int64_t{0}, classes / 2, classes - 1}) {
      std::vector<float> z(classes, -inf), dz(classes);
      z[at] = 10;
      const std::vector<int64_t> label = {at};
      EXPECT_EQ(cross_entropy({z.data(), 1, classes}, label, Gradient{dz.data(), 1, classes}).loss, 0);
      EXPECT_EQ(dz, std::vector<float>(classes, 0));
    }
  }
}

// ---- Layout ----

// Element (i, j, k) of three axes, class axis at each, contiguous or not: the same numbers.
TEST(Layout, AnyAxisAndStride) {
  const Batch<float> rows(6, 7, 43);  // rows = outer 2 x inner 3
  const Options options = {.smoothing = uniform(.1)};
  const double loss = cross_entropy(rows.logits(), rows.labels, options).loss;
  const auto dz = gradient_of(rows, options);

  std::vector<float> middle(42), middle_dz(42);
  for (int o = 0; o < 2; ++o) {
    for (int k = 0; k < 7; ++k) {
      for (int i = 0; i < 3; ++i) middle[(o * 7 + k) * 3 + i] = rows.z[(o * 3 + i) * 7 + k];
    }
  }
  EXPECT_EQ(
      cross_entropy({middle.data(), 2, 7, 3}, rows.labels, Gradient{middle_dz.data(), 2, 7, 3}, options).loss,
      loss);
  for (int r = 0; r < 6; ++r) {
    for (int k = 0; k < 7; ++k) EXPECT_EQ(middle_dz[(r / 3 * 7 + k) * 3 + r % 3], dz[r * 7 + k]);
  }
  cross_entropy({middle.data(), 2, 7, 3}, rows.labels, Gradient{middle.data(), 2, 7, 3}, options);
  EXPECT_EQ(middle, middle_dz) << "in place";

  Logits padded;  // rows 9 apart, written backwards
  std::vector<float> storage(6 * 9, 99);
  for (int r = 0; r < 6; ++r) {
    for (int k = 0; k < 7; ++k) storage[(5 - r) * 9 + k] = rows.z[r * 7 + k];
  }
  padded.data = storage.data() + 5 * 9;
  padded.outer = 6;
  padded.classes = padded.total_classes = 7;
  padded.outer_stride = -9;
  EXPECT_EQ(cross_entropy(padded, rows.labels, options).loss, loss);
}

// A row that stands for many is read by stride 0; nothing is written that way.
TEST(Layout, BroadcastLogits) {
  const std::vector<float> z = {1, 2, 3};
  Logits broadcast(z.data(), 4, 3);
  broadcast.outer_stride = 0;
  std::vector<double> loss(4);
  cross_entropy(broadcast, std::vector<int>{0, 1, 2, 0}, {}, {.loss = loss});
  EXPECT_NEAR(loss[0], 2.40760596, 1e-7);
  EXPECT_NEAR(loss[1], 1.40760596, 1e-7);
  EXPECT_NEAR(loss[2], .40760596, 1e-7);
  EXPECT_EQ(loss[3], loss[0]);
}

TEST(Layout, InPlace) {
  for (const int64_t classes : {3, 16, 1000, 40000}) {
    Batch<float> batch(3, classes, 47);
    const auto dz = gradient_of(batch, {.smoothing = uniform(.1)});
    const auto labels = batch.labels;
    cross_entropy({batch.z.data(), 3, classes}, labels, Gradient{batch.z.data(), 3, classes},
                  {.smoothing = uniform(.1)});
    EXPECT_EQ(batch.z, dz);
  }
}

// ---- Determinism ----

TEST(Determinism, SameBitsForAnyThreadCount) {
  const Batch<float> batch(301, 517, 53);
  const Options options = {.smoothing = uniform(.1)};
  for_each_isa([&] {
    set_threads(1);
    const Result one = cross_entropy(batch.logits(), batch.labels, options);
    const auto dz = gradient_of(batch, options);
    for (const int count : {2, 3, 5, 8}) {
      set_threads(count);
      EXPECT_EQ(cross_entropy(batch.logits(), batch.labels, options).loss, one.loss) << count;
      EXPECT_EQ(gradient_of(batch, options), dz) << count;
    }
    set_threads(0);
  });
}

TEST(Determinism, ARowDoesNotDependOnItsBatch) {
  const Batch<float> batch(33, 100, 59);
  const auto losses = row_losses(batch.logits(), batch.labels, {.smoothing = uniform(.1)});
  for (int64_t row = 0; row < 33; ++row) {
    const Logits alone(batch.z.data() + row * 100, 1, 100);
    EXPECT_EQ(row_losses(alone, Vector(&batch.labels[row], 1), {.smoothing = uniform(.1)})[0], losses[row]);
  }
}

TEST(Determinism, PipelineEqualsTheOneCall) {
  const Batch<float> batch(37, 129, 61);
  const std::vector<double> weights(129, 1.5);
  const Options options = {.smoothing = uniform(.1), .class_weights = weights};
  std::vector<RowSummary> summaries(37);
  summarize(batch.logits(), batch.labels, options, summaries);
  std::vector<double> entropy(37), entropy_of_call(37);
  const Result result = finish(summaries, 129, batch.labels, options, {.entropy = entropy});
  std::vector<float> dz(batch.z.size());
  gradient(batch.logits(), batch.labels, summaries, options, {dz.data(), 37, 129}, {.scalar = 3});
  const Result call = cross_entropy(batch.logits(), batch.labels, options, {.entropy = entropy_of_call});
  EXPECT_EQ(result.loss, call.loss);
  EXPECT_EQ(result.nll, call.nll);
  EXPECT_EQ(result.correct, call.correct);
  EXPECT_EQ(entropy, entropy_of_call);
  EXPECT_EQ(dz, gradient_of(batch, options, {.scalar = 3}));
}

TEST(Determinism, TwoHostThreadsAndAForkedChild) {
  const Batch<float> batch(300, 1000, 67);
  set_threads(3);
  const double loss = cross_entropy(batch.logits(), batch.labels).loss;
  std::array<double, 2> got;
  std::thread other([&] { got[0] = cross_entropy(batch.logits(), batch.labels).loss; });
  got[1] = cross_entropy(batch.logits(), batch.labels).loss;
  other.join();
  EXPECT_EQ(got[0], loss);
  EXPECT_EQ(got[1], loss);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(cross_entropy(batch.logits(), batch.labels).loss == loss ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  set_threads(0);
}

// After the destructors of thread_locals: under a sanitizer, what they freed may not be touched.
TEST(Determinism, CallsWhileTheProcessExits) {
  static const Batch<float> batch(4, 3000, 68);
  static std::vector<float> dz;
  EXPECT_EXIT(
      {
        dz = gradient_of(batch, {});
        std::atexit([] { _exit(gradient_of(batch, {}) == dz ? 0 : 1); });
        std::exit(2);
      },
      testing::ExitedWithCode(0), "");
}

#ifdef __SSE__
TEST(Determinism, LeavesTheFloatingPointModeAloneAndWorksUnderFlushToZero) {
  const unsigned before = _mm_getcsr();
  const Batch<float> batch(8, 50, 71, 30);
  const double loss = cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.1)}).loss;
  EXPECT_EQ(_mm_getcsr() & ~0x3fu, before & ~0x3fu) << "the sticky flags aside";
  _mm_setcsr(before | 0x8040);  // FTZ and DAZ, as a library linked with -Ofast sets them
  EXPECT_EQ(cross_entropy(batch.logits(), batch.labels, {.smoothing = uniform(.1)}).loss, loss);
  _mm_setcsr(before);
}
#endif

}  // namespace
}  // namespace labelsmooth
