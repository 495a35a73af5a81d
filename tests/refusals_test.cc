// SPDX-License-Identifier: MIT
// The door: what is wrong with an argument, in one line that names it. Options that do not go together are in
// pairs_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>  // std::numeric_limits
#include <vector>  // std::vector

#include "batch.h"
#include "error_of.h"

namespace labelsmooth {
namespace {

using ::testing::HasSubstr;

TEST(Refused, LabelsNameTheRow) {
  const Batch<float> batch(3, 4, 73);
  const auto with_labels = [&](const auto& labels, const Options& options = {}) {
    return error_of([&] { cross_entropy(batch.logits(), labels, options); });
  };
  EXPECT_EQ(with_labels(std::vector<int>{0, 1, 4}),
            "labels: row 2 has 4, 0 to 3 and the ignored -100 are allowed");
  EXPECT_EQ(with_labels(std::vector<int>{0, -1, 4}),
            "labels: row 1 has -1, 0 to 3 and the ignored -100 are allowed");
  EXPECT_EQ(with_labels(std::vector<uint64_t>{0, UINT64_MAX, 0}),
            "labels: row 1 has 9223372036854775807, 0 to 3 and the ignored -100 are allowed");
  EXPECT_EQ(with_labels(std::vector<int>{0, 1}), "labels: 2 found, there are 3 rows");
  EXPECT_EQ(with_labels(std::vector<float>{0, 1, 2}), "labels: have type f32, integers are allowed");
  const std::vector<int> good = {0, 1, 2};
  EXPECT_THAT(with_labels(good, {.smoothing = uniform(1.2)}), HasSubstr("smoothing: 1.2"));
  EXPECT_THAT(with_labels(good, {.smoothing = uniform(kNan)}), HasSubstr("smoothing: "));
  const std::vector<float> short_weights = {1, 2};
  EXPECT_EQ(with_labels(good, {.class_weights = short_weights}),
            "class_weights: 2 found, there are 4 classes");
  const std::vector<double> nan_weights = {1, 2, kNan, 1};
  EXPECT_EQ(with_labels(good, {.class_weights = nan_weights}),
            "class_weights: class 2 has nan, finite values are allowed");
  try {
    cross_entropy(batch.logits(), std::vector<int>{0, 9, 0});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.row, 1);
    EXPECT_EQ(error.argument, "labels");
  }
}

TEST(Refused, Shapes) {
  Batch<float> batch(3, 4, 79);
  const std::vector<int> labels = {0, 1, 2};
  const auto with_logits = [&](const Logits& logits) {
    return error_of([&] { cross_entropy(logits, labels); });
  };
  EXPECT_EQ(with_logits(Logits(batch.z.data(), 3, 0)), "logits: 0 classes found, at least 1 is needed");
  EXPECT_THAT(with_logits(Logits(batch.z.data(), -3, 4)), HasSubstr("no negative size"));
  EXPECT_EQ(with_logits(Logits(static_cast<float*>(nullptr), 3, 4)), "logits: null data");
  EXPECT_THAT(with_logits(batch.logits().shard(0, 8)), HasSubstr("a shard of 4 of 8 classes"));
  const std::vector<int> integers(12);
  EXPECT_EQ(with_logits(Logits(integers.data(), 3, 4)),
            "logits: have type i32, f32, f64, f16 and bf16 are allowed");

  std::vector<float> dz(20);
  std::vector<double> dz64(12);
  const auto with_gradient = [&](const Gradient& dlogits, const Upstream& upstream = {}) {
    return error_of([&] { cross_entropy(batch.logits(), labels, dlogits, {}, {}, upstream); });
  };
  EXPECT_EQ(with_gradient({dz64.data(), 3, 4}), "dlogits: have type f64, the logits' is f32");
  EXPECT_THAT(with_gradient({dz.data(), 4, 3}), HasSubstr("shape (4, 3, 1) found, the logits' is (3, 4, 1)"));
  EXPECT_THAT(with_gradient({batch.z.data() + 1, 3, 4}), HasSubstr("overlap"));
  EXPECT_THAT(with_gradient({batch.z.data() - 1, 3, 4}), HasSubstr("overlap"));
  Gradient backwards(dz.data() + 8, 3, 4);
  backwards.outer_stride = -4;
  EXPECT_EQ(with_gradient(backwards), "no error");
  Gradient backwards_over(batch.z.data() + 12, 3, 4);
  backwards_over.outer_stride = -4;
  EXPECT_THAT(with_gradient(backwards_over), HasSubstr("overlap"));
  for (const auto& [outer, inner] : {std::pair(0, 1), std::pair(1, 1), std::pair(4, 0), std::pair(3, 1)}) {
    Gradient twice(dz.data(), 3, 4);
    twice.outer_stride = outer;
    twice.class_stride = inner;
    EXPECT_THAT(with_gradient(twice), HasSubstr("two elements at one address")) << outer << inner;
  }
  EXPECT_THAT(with_gradient({dz.data(), 3, 2, 2}), HasSubstr("shape (3, 2, 2) found"));
  EXPECT_THAT(with_logits(Logits(batch.z.data(), int64_t{1} << 32, 1, int64_t{1} << 32)),
              HasSubstr("too many"));
  EXPECT_THAT(with_logits(Logits(batch.z.data(), 3, 4, -1)), HasSubstr("no negative size"));
  const Vector null_labels(static_cast<int*>(nullptr), 3);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), null_labels); }), "labels: null data");
  const Upstream short_rows = {.rows = Vector(dz.data(), 2)},
                 integer_rows = {.rows = Vector(labels.data(), 3)};
  const Options none = {.reduction = Reduction::none};
  const Gradient whole(dz.data(), 3, 4);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), labels, whole, none, {}, short_rows); }),
            "upstream: 2 found, there are 3 rows");
  EXPECT_THAT(error_of([&] { cross_entropy(batch.logits(), labels, whole, none, {}, integer_rows); }),
              HasSubstr("f32, f64"));
  const std::vector<double> huge = {1, 1e39, 1, 1}, five(5, 1);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), labels, {.class_weights = five}); }),
            "class_weights: 5 found, there are 4 classes");
  EXPECT_EQ(error_of([&] {
              cross_entropy(batch.logits(), labels, {.smoothing = uniform(.1), .class_weights = huge});
            }),
            "class_weights: class 1 overflows the logits' type");
  std::vector<int64_t> short_argmax(2);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), labels, {}, {.argmax = short_argmax}); }),
            "parts.argmax: 2 found, there are 3 rows");
  EXPECT_THAT(with_gradient({dz.data(), 3, 4}, {.rows = dz64}), HasSubstr("reduction none"));

  std::vector<double> short_part(2);
  EXPECT_EQ(error_of([&] { cross_entropy(batch.logits(), labels, {}, {.nll = short_part}); }),
            "parts.nll: 2 found, there are 3 rows");
}

TEST(Refused, MixedTargets) {
  const Batch<float> batch(3, 4, 7);
  const std::vector<int> ignored = {-100, -100, -100}, one = {1}, good = {0, 1, 2};
  const std::vector<float> floats = {0, 1, 2}, weight = {0, .5f, 1}, two = {0, 1}, beyond = {0, .5f, 1.5f},
                           nan = {0, std::nanf(""), 0};
  const auto error = [&](const Vector& first, const Vector& second, const Vector& lambda) {
    return error_of([&] { cross_entropy(batch.logits(), mixed(first, second, lambda)); });
  };
  EXPECT_EQ(error(good, good, weight), "no error");
  EXPECT_EQ(error(ignored, one, weight), "labels: 1 found, there are 3 rows");
  EXPECT_EQ(error(ignored, floats, weight), "labels: have type f32, integers are allowed");
  EXPECT_EQ(error(ignored, Vector(static_cast<int*>(nullptr), 3), weight), "labels: null data");
  EXPECT_EQ(error(ignored, Vector(), weight), "labels: 0 found, there are 3 rows");
  EXPECT_EQ(error(good, good, two), "weight: 2 found, there are 3 rows");
  EXPECT_EQ(error(good, good, Vector()), "weight: 0 found, there are 3 rows");
  EXPECT_THAT(error(good, good, beyond), HasSubstr("weight: row 2 has 1.5"));
  EXPECT_THAT(error(good, good, nan), HasSubstr("weight: row 1 has nan"));
  EXPECT_THAT(error(good, good, good), HasSubstr("weight: have type i32"));
  EXPECT_EQ(error(std::vector<int>{0, -100, 0}, good, weight),
            "labels: row 1 has -100, 0 to 3 and the ignored -100 (for both labels) are allowed");
  EXPECT_THAT(error(good, std::vector<int>{0, 4, 0}, weight), HasSubstr("labels: row 1 has 4"));
}

TEST(Refused, Views) {
  const Batch<float> batch(3, 4, 9);
  const std::vector<float> like(12, .25f);
  const std::vector<uint8_t> bytes(12, 1);
  const float* const null = nullptr;
  const auto error = [&](const Target& target, const Options& options = {}) {
    return error_of([&] { cross_entropy(batch.logits(), target, options); });
  };
  const auto with_prior = [&](Prior::Kind kind, const Rows& rows) {
    return error(batch.labels, {.smoothing = uniform(.1, Prior(kind, rows))});
  };
  const auto with_mask = [&](const Rows& mask, Support support = Support::finite) {
    return error(batch.labels, {.support = support, .mask = mask});
  };
  EXPECT_EQ(error(dense({like.data(), 3, 4})), "no error");
  EXPECT_EQ(error(dense({null, 3, 4})), "targets: null data");
  EXPECT_THAT(error(dense({like.data(), 4, 3})),
              HasSubstr("targets: shape (4, 3, 1) found, the logits' is (3, 4, 1)"));
  EXPECT_THAT(error(dense({like.data(), 1, 4, 3})), HasSubstr("targets: shape (1, 4, 3)"));
  EXPECT_THAT(error(dense({bytes.data(), 3, 4})), HasSubstr("targets: have type u8"));
  EXPECT_THAT(error(dense({like.data(), -3, 4, -1})), HasSubstr("no negative size"));
  EXPECT_THAT(error(dense({like.data(), 3, 4}, std::vector<int>{0, 4, 0})), HasSubstr("labels: row 1 has 4"));

  EXPECT_EQ(with_prior(Prior::Kind::by_row, {like.data(), 3, 4}), "no error");
  EXPECT_EQ(with_prior(Prior::Kind::by_row, {null, 3, 4}), "prior: null data");
  EXPECT_THAT(with_prior(Prior::Kind::by_row, {like.data(), 4, 3}), HasSubstr("prior: shape (4, 3, 1)"));
  EXPECT_THAT(with_prior(Prior::Kind::by_label, {like.data(), 3, 4}), HasSubstr("by label it is (4, 4)"));
  EXPECT_EQ(with_prior(Prior::Kind::shared, {null, 1, 4}), "prior: null data");
  EXPECT_THAT(with_prior(Prior::Kind::shared, {like.data(), 3, 4}), HasSubstr("prior: several rows found"));
  std::vector<float> bad(12, .25f);
  bad[6] = -.25f;
  EXPECT_EQ(with_prior(Prior::Kind::by_row, {bad.data(), 3, 4}),
            "prior: row 1 class 2 has -0.250000, finite and non-negative values are allowed");
  bad[6] = .5f;
  EXPECT_EQ(with_prior(Prior::Kind::by_row, {bad.data(), 3, 4}),
            "prior: row 1 sums to 1.250000, 1 is needed");

  EXPECT_EQ(with_mask({bytes.data(), 3, 4}), "no error");
  EXPECT_EQ(with_mask({bytes.data(), 1, 4}), "no error");
  EXPECT_EQ(with_mask({bytes.data(), 1, 4}, Support::all), "mask: needs the support finite");
  EXPECT_EQ(with_mask({like.data(), 3, 4}), "mask: has type f32, u8 is allowed");
  EXPECT_THAT(with_mask({bytes.data(), 2, 4}), HasSubstr("mask: shape (2, 4, 1) found"));
  EXPECT_EQ(with_mask({static_cast<const uint8_t*>(nullptr), 3, 4}), "mask: null data");
}

TEST(Refused, NumbersByRowAndByClass) {
  const Batch<float> batch(3, 4, 11);
  const std::vector<float> three(3, .5f), four(4, .5f), beyond = {0, 0, 1.5f, 0}, huge = {1, 1e30f, 1, 1};
  const auto error = [&](const Options& options) {
    return error_of([&] { cross_entropy(batch.logits(), batch.labels, options); });
  };
  const auto smoothed = [&](const Smoothing& smoothing) { return error({.smoothing = smoothing}); };
  EXPECT_EQ(smoothed({.amount_by_row = four}), "amount_by_row: 4 found, there are 3 rows");
  EXPECT_EQ(smoothed({.amount_by_class = three}), "amount_by_class: 3 found, there are 4 classes");
  EXPECT_THAT(smoothed({.amount_by_class = beyond}), HasSubstr("amount_by_class: class 2 has 1.5"));
  EXPECT_THAT(smoothed({.amount_by_row = Vector(beyond.data(), 3)}),
              HasSubstr("amount_by_row: row 2 has 1.5"));
  const char* const one = "smoothing: one of amount, amount_by_class and amount_by_row is allowed";
  EXPECT_EQ(smoothed({.amount = .1, .amount_by_row = three}), one);
  EXPECT_EQ(smoothed({.amount_by_class = four, .amount_by_row = three}), one);
  EXPECT_EQ(error({.row_weights = four}), "row_weights: 4 found, there are 3 rows");
  const std::vector<float> nan = {1, std::nanf(""), 1};
  EXPECT_EQ(error({.row_weights = nan}), "row_weights: row 1 has nan, finite values are allowed");
  EXPECT_EQ(error({.scale = 0}), "scale: 0.000000 found, finite values above 0 are allowed");
  EXPECT_THAT(error({.scale = kInf}), HasSubstr("scale"));
  for (const double value : {-1., kNan, kInf}) {
    EXPECT_THAT(error({.soft_cap = value}), HasSubstr("soft_cap"));
    EXPECT_THAT(error({.z_loss = value}), HasSubstr("z_loss"));
    EXPECT_THAT(error({.entropy_penalty = value}), HasSubstr("entropy_penalty"));
    EXPECT_THAT(error({.max_suppression = value}), HasSubstr("max_suppression"));
    EXPECT_THAT(error({.denominator = {Denominator::constant, value}}), HasSubstr("denominator"));
  }
  EXPECT_THAT(error({.denominator = {Denominator::constant, 0}}), HasSubstr("denominator"));
  // Past the type of the logits, smoothed or not.
  const std::vector<double> too_large = {1, 1e39, 1, 1};
  EXPECT_EQ(error({.class_weights = huge}), "no error");
  for (const double amount : {0., .1})
    EXPECT_EQ(error({.smoothing = uniform(amount), .class_weights = too_large}),
              "class_weights: class 1 overflows the logits' type");
  const std::vector<float> like(12, .25f);
  EXPECT_EQ(error_of([&] {
              cross_entropy(batch.logits(), dense({like.data(), 3, 4}), {},
                            {.correct = std::span<uint8_t>()});
            }),
            "no error");
  std::vector<uint8_t> correct(3);
  EXPECT_EQ(
      error_of([&] { cross_entropy(batch.logits(), dense({like.data(), 3, 4}), {}, {.correct = correct}); }),
      "parts.correct: needs the labels of the dense targets");
}

// Sizes and strides whose products do not fit 64 bits are refused before anything is multiplied.
TEST(Refused, Overflows) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max(), kLeast = std::numeric_limits<int64_t>::min();
  Batch<float> batch(3, 4, 13);
  std::vector<float> dz(12);
  const auto error = [&](const auto& change) {
    Logits logits = batch.logits();
    Gradient dlogits(dz.data(), 3, 4);
    change(logits);
    change(dlogits);
    return error_of([&] { cross_entropy(logits, batch.labels, dlogits); });
  };
  EXPECT_THAT(error([](auto& view) { view.padding = kMost; }), HasSubstr("too many"));
  EXPECT_THAT(error([](auto& view) { view.classes = view.total_classes = kMost; }), HasSubstr("too many"));
  EXPECT_THAT(error([](auto& view) { view.outer = view.inner = kMost; }), HasSubstr("too many"));
  for (const int64_t stride : {kMost, kLeast, kMost / 4, kLeast / 8}) {
    EXPECT_THAT(error([&](auto& view) { view.outer_stride = stride; }), HasSubstr("logits: strides"))
        << stride;
    EXPECT_THAT(error([&](auto& view) { view.class_stride = stride; }), HasSubstr("logits: strides"))
        << stride;
  }
  EXPECT_EQ(error([](auto& view) { view.inner_stride = kMost; }), "no error")
      << "an axis of one does not move";
}

TEST(Refused, GradientOverItsArguments) {
  Batch<float> batch(3, 4, 15);
  std::vector<float> memory(36, .25f);
  float* const middle = memory.data() + 12;
  const auto error = [&](const Target& target, const Options& options, void* to) {
    return error_of([&] { cross_entropy(batch.logits(), target, {to, DType::f32, 3, 4, 1}, options); });
  };
  for (float* to : {middle, middle + 11, middle - 11}) {
    EXPECT_EQ(error(dense({middle, 3, 4}), {}, to), "dlogits: overlap with the targets");
    EXPECT_EQ(error(batch.labels, {.smoothing = uniform(.1, {Prior::Kind::by_row, {middle, 3, 4}})}, to),
              "dlogits: overlap with the prior");
    const Rows mask(reinterpret_cast<const uint8_t*>(middle), 3, 4);
    if (to == middle + 11) continue;  // past the mask
    EXPECT_EQ(error(batch.labels, {.support = Support::finite, .mask = mask}, to),
              "dlogits: overlap with the mask");
  }
  EXPECT_EQ(error_of([&] {
              cross_entropy(batch.logits(), batch.labels, Gradient{batch.z.data(), 3, 4}, {}, {},
                            {.accumulate = true});
            }),
            "accumulate: adds to a gradient, in the logits' memory there is none");
}

}  // namespace
}  // namespace labelsmooth
