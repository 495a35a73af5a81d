// SPDX-License-Identifier: MIT
#include "labelsmooth/c_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>     // std::memset
#include <functional>  // std::function
#include <thread>      // std::thread

#include "batch.h"
#include "labelsmooth/sigmoid_cross_entropy.h"

namespace labelsmooth {
namespace {

using testing::HasSubstr;

labelsmooth_vector c_vector(const Vector& vector) {
  return {vector.data, vector.size, static_cast<int32_t>(vector.dtype)};
}

// A batch in both languages, with an option of every kind set.
struct Both {
  Batch<float> batch{50, 9, 1};
  std::vector<float> class_weights = {1, 2, 3, 1, .5f, 1, 1, 4, 1},
                     teacher = std::vector<float>(50 * 9, 1.f / 9);
  std::vector<double> row_weights = std::vector<double>(50, .5), amounts = std::vector<double>(50, .2);
  std::vector<uint8_t> mask = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  Options options;
  labelsmooth_options c = labelsmooth_default_options();
  labelsmooth_view logits = labelsmooth_rows(batch.z.data(), LABELSMOOTH_F32, 50, 9);
  labelsmooth_target target = labelsmooth_labels(batch.labels.data(), LABELSMOOTH_I64, 50);

  Both() {
    batch.labels[7] = 5;
    options.smoothing = uniform(0, Prior(Prior::Kind::by_row, Rows(teacher.data(), 50, 9)));
    options.smoothing.amount_by_row = amounts;
    options.class_weights = class_weights;
    options.row_weights = row_weights;
    options.ignore_index = 5;
    options.support = Support::finite;
    options.mask = Rows(mask.data(), 1, 9);
    options.scale = 1.5;
    options.soft_cap = 10;
    options.z_loss = 1e-3;
    options.entropy_penalty = .01;
    options.denominator = {Denominator::constant, 32};
    c.smoothing.prior_kind = LABELSMOOTH_PRIOR_BY_ROW;
    c.smoothing.prior = labelsmooth_rows(teacher.data(), LABELSMOOTH_F32, 50, 9);
    c.smoothing.amount_by_row = c_vector(amounts);
    c.class_weights = c_vector(class_weights);
    c.row_weights = c_vector(row_weights);
    c.ignore_index = 5;
    c.support = LABELSMOOTH_FINITE;
    c.mask = labelsmooth_rows(mask.data(), LABELSMOOTH_U8, 1, 9);
    c.scale = 1.5;
    c.soft_cap = 10;
    c.z_loss = 1e-3;
    c.entropy_penalty = .01;
    c.denominator = LABELSMOOTH_BY_CONSTANT;
    c.denominator_value = 32;
  }
};

labelsmooth_result empty_result() {
  labelsmooth_result result;
  std::memset(&result, 0, sizeof result);
  result.struct_size = sizeof result;
  return result;
}

TEST(CApi, HasTheBitsOfTheCppInterface) {
  Both both;
  std::vector<float> dz(50 * 9, 1), c_dz(50 * 9, 1);
  std::vector<double> loss(50), c_loss(50), entropy(50), c_entropy(50);
  std::vector<int64_t> argmax(50), c_argmax(50);
  std::vector<uint8_t> correct(50), c_correct(50);
  const Upstream upstream = {.scalar = 3, .accumulate = true};
  const Result expected =
      cross_entropy(both.batch.logits(), both.batch.labels, {dz.data(), 50, 9}, both.options,
                    {.loss = loss, .entropy = entropy, .argmax = argmax, .correct = correct}, upstream);

  const labelsmooth_view dlogits = labelsmooth_rows(c_dz.data(), LABELSMOOTH_F32, 50, 9);
  labelsmooth_parts parts = {sizeof parts, c_loss.data(),    nullptr,         nullptr,
                             nullptr,      c_entropy.data(), c_argmax.data(), c_correct.data()};
  labelsmooth_upstream c_upstream = {sizeof c_upstream, 3, {nullptr, 0, 0}, 1};
  labelsmooth_result result = empty_result();
  ASSERT_EQ(
      labelsmooth_cross_entropy(&both.logits, &both.target, &dlogits, &both.c, &c_upstream, &parts, &result),
      LABELSMOOTH_OK)
      << labelsmooth_last_error();
  EXPECT_EQ(result.loss, expected.loss);
  EXPECT_EQ(result.nll, expected.nll);
  EXPECT_EQ(result.denominator, 32);
  EXPECT_EQ(result.rows, 50);
  EXPECT_EQ(result.counted, expected.counted);
  EXPECT_LT(result.counted, 50);
  EXPECT_EQ(result.correct, expected.correct);
  EXPECT_EQ(result.first_impossible_row, expected.first_impossible_row);
  EXPECT_EQ(c_dz, dz);
  EXPECT_EQ(c_loss, loss);
  EXPECT_EQ(c_entropy, entropy);
  EXPECT_EQ(c_argmax, argmax);
  EXPECT_EQ(c_correct, correct);
}

// Each field by itself changes the result as its C++ twin does.
TEST(CApi, EveryOptionArrives) {
  const Batch<float> batch(20, 5, 2);
  const std::vector<float> weights = {1, 2, 3, 4, 5}, rows(20, 2), amounts(20, .3f), by_class(5, .4f),
                           prior = {.6f, .1f, .1f, .1f, .1f};
  const std::vector<uint8_t> mask(5, 1);
  std::vector<float> matrix;
  for (int i = 0; i < 5; ++i) matrix.insert(matrix.end(), prior.begin(), prior.end());
  using Set = std::function<void(labelsmooth_options&, Options&)>;
  const std::vector<std::pair<const char*, Set>> settings = {
      {"amount", [](auto& c, auto& o) { c.smoothing.amount = o.smoothing.amount = .1; }},
      {"rule",
       [](auto& c, auto& o) {
         o.smoothing = flip(c.smoothing.amount = .1);
         c.smoothing.rule = LABELSMOOTH_FLIP;
       }},
      {"additive",
       [](auto& c, auto& o) {
         o.smoothing = additive(c.smoothing.amount = .1);
         c.smoothing.rule = LABELSMOOTH_ADDITIVE;
       }},
      {"others",
       [](auto& c, auto& o) {
         o.smoothing = others(c.smoothing.amount = .1);
         c.smoothing.rule = LABELSMOOTH_OTHERS;
       }},
      {"shared",
       [&](auto& c, auto& o) {
         o.smoothing = uniform(c.smoothing.amount = .1, prior);
         c.smoothing.prior_kind = LABELSMOOTH_PRIOR_SHARED;
         c.smoothing.prior = labelsmooth_rows(prior.data(), LABELSMOOTH_F32, 1, 5);
       }},
      {"matrix",
       [&](auto& c, auto& o) {
         o.smoothing =
             uniform(c.smoothing.amount = .1, Prior(Prior::Kind::by_label, Rows(matrix.data(), 5, 5)));
         c.smoothing.prior_kind = LABELSMOOTH_PRIOR_BY_LABEL;
         c.smoothing.prior = labelsmooth_rows(matrix.data(), LABELSMOOTH_F32, 5, 5);
       }},
      {"amount_by_row",
       [&](auto& c, auto& o) {
         o.smoothing.amount_by_row = amounts;
         c.smoothing.amount_by_row = c_vector(amounts);
       }},
      {"amount_by_class",
       [&](auto& c, auto& o) {
         o.smoothing.amount_by_class = by_class;
         c.smoothing.amount_by_class = c_vector(by_class);
       }},
      {"class_weights",
       [&](auto& c, auto& o) {
         o.class_weights = weights;
         c.class_weights = c_vector(weights);
       }},
      {"weighting",
       [&](auto& c, auto& o) {
         o.class_weights = weights;
         c.class_weights = c_vector(weights);
         o.smoothing.amount = c.smoothing.amount = .1;
         o.weighting = Weighting::expected;
         c.weighting = LABELSMOOTH_EXPECTED;
       }},
      {"row_weights",
       [&](auto& c, auto& o) {
         o.row_weights = rows;
         c.row_weights = c_vector(rows);
         o.denominator = {Denominator::rows, 0};
         c.denominator = LABELSMOOTH_BY_ROWS;
       }},
      {"ignore_index", [](auto& c, auto& o) { o.ignore_index = c.ignore_index = 2; }},
      {"scale", [](auto& c, auto& o) { o.scale = c.scale = 2; }},
      {"soft_cap", [](auto& c, auto& o) { o.soft_cap = c.soft_cap = 2; }},
      {"z_loss", [](auto& c, auto& o) { o.z_loss = c.z_loss = .1; }},
      {"entropy_penalty", [](auto& c, auto& o) { o.entropy_penalty = c.entropy_penalty = .1; }},
      {"max_suppression", [](auto& c, auto& o) { o.max_suppression = c.max_suppression = .1; }},
      {"sum",
       [](auto& c, auto& o) {
         o.reduction = Reduction::sum;
         c.reduction = LABELSMOOTH_SUM;
       }},
      {"denominator",
       [](auto& c, auto& o) {
         o.denominator = {Denominator::constant, 7};
         c.denominator = LABELSMOOTH_BY_CONSTANT;
         c.denominator_value = 7;
       }},
  };
  const labelsmooth_view logits = labelsmooth_rows(batch.z.data(), LABELSMOOTH_F32, 20, 5);
  const labelsmooth_target target = labelsmooth_labels(batch.labels.data(), LABELSMOOTH_I64, 20);
  const double base = cross_entropy(batch.logits(), batch.labels).loss;
  for (const auto& [name, set] : settings) {
    labelsmooth_options c = labelsmooth_default_options();
    Options o;
    set(c, o);
    labelsmooth_result result = empty_result();
    ASSERT_EQ(labelsmooth_cross_entropy(&logits, &target, nullptr, &c, nullptr, nullptr, &result),
              LABELSMOOTH_OK)
        << name << labelsmooth_last_error();
    EXPECT_EQ(result.loss, cross_entropy(batch.logits(), batch.labels, o).loss) << name;
    EXPECT_NE(result.loss, base) << name;
  }
}

TEST(CApi, MixedAndDenseTargets) {
  const Batch<double> batch(6, 4, 3), targets(6, 4, 4);
  const std::vector<int32_t> second = {0, 1, 2, 3, 0, 1};
  const std::vector<float> weight = {0, 1, .5f, .25f, .75f, .5f};
  const labelsmooth_view logits = labelsmooth_rows(batch.z.data(), LABELSMOOTH_F64, 6, 4);
  labelsmooth_target target = labelsmooth_labels(batch.labels.data(), LABELSMOOTH_I64, 6);
  target.kind = LABELSMOOTH_MIXED;
  target.second = c_vector(second);
  target.weight = c_vector(weight);
  labelsmooth_result result = empty_result();
  ASSERT_EQ(labelsmooth_cross_entropy(&logits, &target, nullptr, nullptr, nullptr, nullptr, &result),
            LABELSMOOTH_OK);
  EXPECT_EQ(result.loss, cross_entropy(batch.logits(), mixed(batch.labels, second, weight)).loss);

  std::memset(&target, 0, sizeof target);
  target.struct_size = sizeof target;
  target.kind = LABELSMOOTH_DENSE;
  target.dense = labelsmooth_rows(targets.z.data(), LABELSMOOTH_F64, 6, 4);
  ASSERT_EQ(labelsmooth_cross_entropy(&logits, &target, nullptr, nullptr, nullptr, nullptr, &result),
            LABELSMOOTH_OK);
  EXPECT_EQ(result.loss, cross_entropy(batch.logits(), dense(targets.logits())).loss);
  EXPECT_EQ(result.correct, -1);
}

TEST(CApi, PipelineOverShards) {
  Both both;
  both.c.smoothing = labelsmooth_smoothing{};
  both.c.smoothing.amount = .1;
  both.options.smoothing = uniform(.1);
  std::vector<labelsmooth_row_summary> left(50), right(50), merged(50);
  std::vector<float> dz(50 * 9), expected(50 * 9);
  labelsmooth_view first = both.logits, second = both.logits;
  first.classes = 4;
  second.classes = 5;
  second.class_begin = 4;
  second.data = both.batch.z.data() + 4;
  ASSERT_EQ(labelsmooth_summarize(&first, &both.target, &both.c, left.data()), LABELSMOOTH_OK)
      << labelsmooth_last_error();
  ASSERT_EQ(labelsmooth_summarize(&second, &both.target, &both.c, right.data()), LABELSMOOTH_OK);
  const labelsmooth_shard shards[] = {{4, 5, right.data()}, {0, 4, left.data()}};
  ASSERT_EQ(labelsmooth_merge_shards(shards, 2, 50, 9, merged.data()), LABELSMOOTH_OK)
      << labelsmooth_last_error();
  labelsmooth_result result = empty_result();
  ASSERT_EQ(labelsmooth_finish(merged.data(), 50, 9, &both.target, &both.c, nullptr, &result),
            LABELSMOOTH_OK);
  labelsmooth_view dlogits = labelsmooth_rows(dz.data(), LABELSMOOTH_F32, 50, 9);
  ASSERT_EQ(labelsmooth_gradient(&both.logits, &both.target, merged.data(), &dlogits, &both.c, nullptr),
            LABELSMOOTH_OK);
  const double loss =
      cross_entropy(both.batch.logits(), both.batch.labels, {expected.data(), 50, 9}, both.options).loss;
  EXPECT_NEAR(result.loss, loss, 1e-14);
  for (size_t i = 0; i < dz.size(); ++i) ASSERT_NEAR(dz[i], expected[i], 1e-7);

  EXPECT_EQ(labelsmooth_merge_shards(shards, 1, 50, 9, merged.data()), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_THAT(labelsmooth_last_error(), HasSubstr("gap"));
}

TEST(CApi, SigmoidHasTheBitsOfTheCppInterfaceAndEveryOptionArrives) {
  const Batch<float> batch(20, 5, 7);
  std::vector<uint8_t> bits(100), mask(100, 1);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = i % 3 == 0, mask[i] = i % 7 != 0;
  const std::vector<float> weights = {1, 2, 3, 4, 5}, rows(20, 2), elements(100, .5f);
  const Rows targets(bits.data(), 20, 5);
  using Set = std::function<void(labelsmooth_sigmoid_options&, SigmoidOptions&)>;
  const std::vector<std::pair<const char*, Set>> settings = {
      {"amount", [](auto& c, auto& o) { c.amount = o.smoothing.amount = .1; }},
      {"rule",
       [](auto& c, auto& o) {
         c.amount = .1;
         c.rule = LABELSMOOTH_BINARY_SPREAD;
         o.smoothing = {BinaryRule::spread, .1};
       }},
      {"half",
       [](auto& c, auto& o) {
         c.amount = .1;
         c.rule = LABELSMOOTH_BINARY_HALF;
         o.smoothing = {BinaryRule::half, .1};
       }},
      {"uniform",
       [](auto& c, auto& o) {
         c.amount = .1;
         c.rule = LABELSMOOTH_BINARY_UNIFORM;
         o.smoothing = {BinaryRule::uniform, .1};
       }},
      {"pos_weight",
       [&](auto& c, auto& o) {
         o.pos_weight = weights;
         c.pos_weight = c_vector(weights);
       }},
      {"class_weights",
       [&](auto& c, auto& o) {
         o.class_weights = weights;
         c.class_weights = c_vector(weights);
       }},
      {"row_weights",
       [&](auto& c, auto& o) {
         o.row_weights = rows;
         c.row_weights = c_vector(rows);
       }},
      {"element_weights",
       [&](auto& c, auto& o) {
         o.element_weights = Rows(elements.data(), 20, 5);
         c.element_weights = labelsmooth_rows(elements.data(), LABELSMOOTH_F32, 20, 5);
       }},
      {"mask",
       [&](auto& c, auto& o) {
         o.mask = Rows(mask.data(), 20, 5);
         c.mask = labelsmooth_rows(mask.data(), LABELSMOOTH_U8, 20, 5);
       }},
      {"ignore_index", [](auto& c, auto& o) { o.ignore_index = c.ignore_index = 0; }},
      {"sum",
       [](auto& c, auto& o) {
         o.reduction = Reduction::sum;
         c.reduction = LABELSMOOTH_SUM;
       }},
      {"rows",
       [](auto& c, auto& o) {
         o.denominator.kind = SigmoidDenominator::rows;
         c.denominator = LABELSMOOTH_SIGMOID_BY_ROWS;
       }},
      {"constant",
       [](auto& c, auto& o) {
         o.denominator = {SigmoidDenominator::constant, 7};
         c.denominator = LABELSMOOTH_SIGMOID_BY_CONSTANT;
         c.denominator_value = 7;
       }},
  };
  const labelsmooth_view logits = labelsmooth_rows(batch.z.data(), LABELSMOOTH_F32, 20, 5);
  labelsmooth_target target = labelsmooth_labels(nullptr, 0, 0);
  target.kind = LABELSMOOTH_DENSE;
  target.dense = labelsmooth_rows(bits.data(), LABELSMOOTH_U8, 20, 5);
  const double base = sigmoid_cross_entropy(batch.logits(), dense(targets)).loss;
  for (const auto& [name, set] : settings) {
    labelsmooth_sigmoid_options c = labelsmooth_default_sigmoid_options();
    SigmoidOptions o;
    set(c, o);
    std::vector<float> dz(100), c_dz(100);
    std::vector<double> parts(100), c_parts(100);
    const labelsmooth_view dlogits = labelsmooth_rows(c_dz.data(), LABELSMOOTH_F32, 20, 5);
    labelsmooth_sigmoid_parts c_out = {sizeof c_out, nullptr, nullptr, c_parts.data()};
    labelsmooth_sigmoid_result result;
    result.struct_size = sizeof result;
    ASSERT_EQ(labelsmooth_sigmoid_cross_entropy(&logits, &target, &dlogits, &c, nullptr, &c_out, &result),
              LABELSMOOTH_OK)
        << name << labelsmooth_last_error();
    const SigmoidResult expected =
        sigmoid_cross_entropy(batch.logits(), dense(targets), {dz.data(), 20, 5}, o, {.elements = parts});
    EXPECT_EQ(result.loss, expected.loss) << name;
    EXPECT_EQ(result.elements, expected.elements) << name;
    EXPECT_EQ(result.correct, expected.correct) << name;
    EXPECT_EQ(c_dz, dz) << name;
    EXPECT_EQ(c_parts, parts) << name;
    EXPECT_NE(result.loss, base) << name;
  }
  bits[0] = 2;
  EXPECT_EQ(labelsmooth_sigmoid_cross_entropy(&logits, &target, nullptr, nullptr, nullptr, nullptr, nullptr),
            LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_THAT(labelsmooth_last_error(), HasSubstr("targets: row 0 class 0 has 2"));
}

TEST(CApi, Smoothing) {
  labelsmooth_smoothing smoothing = {};
  smoothing.rule = LABELSMOOTH_ADDITIVE;
  smoothing.amount = .1;
  double row[5], mass, amount, scale, probability, gap, floor;
  ASSERT_EQ(labelsmooth_target_row(&smoothing, 5, 3, row, &mass), LABELSMOOTH_OK);
  ASSERT_EQ(labelsmooth_as_uniform(&smoothing, 5, &amount, &scale), LABELSMOOTH_OK);
  ASSERT_EQ(labelsmooth_optimum(&smoothing, 5, 3, &probability, &gap, &floor), LABELSMOOTH_OK);
  EXPECT_NEAR(row[3], 1, 1e-15);
  EXPECT_NEAR(row[0], .1, 1e-15);
  EXPECT_NEAR(mass, 1.4, 1e-15);
  EXPECT_NEAR(amount, .357142857142857, 1e-14);
  EXPECT_NEAR(scale, 1.4, 1e-15);
  EXPECT_NEAR(floor, 1.392095168, 1e-9);
  EXPECT_NEAR(gap, 2.302585, 1e-6);
  EXPECT_EQ(labelsmooth_target_row(&smoothing, 5, 5, row, &mass), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_EQ(labelsmooth_as_uniform(nullptr, 5, &amount, &scale), LABELSMOOTH_INVALID_ARGUMENT);
}

TEST(CApi, StructsOfOtherVersions) {
  Both both;
  struct {
    labelsmooth_options options;
    char future[16];
  } newer;
  std::memset(&newer, 0, sizeof newer);
  newer.options = both.c;
  newer.options.struct_size = sizeof newer;
  labelsmooth_result result = empty_result();
  const auto call = [&](const labelsmooth_options& options) {
    return labelsmooth_cross_entropy(&both.logits, &both.target, nullptr, &options, nullptr, nullptr,
                                     &result);
  };
  EXPECT_EQ(call(newer.options), LABELSMOOTH_OK) << labelsmooth_last_error();
  newer.future[15] = 1;
  EXPECT_EQ(call(newer.options), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_STREQ(labelsmooth_last_error_argument(), "options");

  // A header that ends before ignore_index: the rest keeps its defaults.
  labelsmooth_options older = labelsmooth_default_options();
  older.struct_size = offsetof(labelsmooth_options, ignore_index);
  older.ignore_index = 0;
  older.scale = -1;
  EXPECT_EQ(call(older), LABELSMOOTH_OK) << labelsmooth_last_error();
  EXPECT_EQ(result.counted, 50);
  older.struct_size = 0;
  EXPECT_EQ(call(older), LABELSMOOTH_INVALID_ARGUMENT);

  // No byte past the caller's struct is written.
  labelsmooth_result small = empty_result();
  small.struct_size = offsetof(labelsmooth_result, nll);
  small.nll = 77;
  EXPECT_EQ(labelsmooth_cross_entropy(&both.logits, &both.target, nullptr, nullptr, nullptr, nullptr, &small),
            LABELSMOOTH_OK);
  EXPECT_EQ(small.nll, 77);
  EXPECT_GT(small.loss, 0);
}

TEST(CApi, FailuresSayWhatAndWriteNothing) {
  Both both;
  std::vector<float> dz(50 * 9, 77);
  const labelsmooth_view dlogits = labelsmooth_rows(dz.data(), LABELSMOOTH_F32, 50, 9);
  labelsmooth_result result = empty_result();
  result.loss = 77;
  const auto call = [&](const labelsmooth_view* logits, const labelsmooth_target* target,
                        const labelsmooth_options* options) {
    const int status =
        labelsmooth_cross_entropy(logits, target, &dlogits, options, nullptr, nullptr, &result);
    EXPECT_EQ(result.loss, 77);
    EXPECT_EQ(dz, std::vector<float>(50 * 9, 77));
    return status;
  };
  both.batch.labels[3] = 9;
  EXPECT_EQ(call(&both.logits, &both.target, &both.c), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_EQ(labelsmooth_last_error_row(), 3);
  EXPECT_STREQ(labelsmooth_last_error_argument(), "labels");
  EXPECT_THAT(labelsmooth_last_error(), HasSubstr("row 3 has 9, 0 to 8 and the ignored 5 are allowed"));
  both.batch.labels[3] = 0;
  EXPECT_EQ(call(nullptr, &both.target, &both.c), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_STREQ(labelsmooth_last_error(), "logits: null");
  EXPECT_EQ(labelsmooth_last_error_row(), -1);
  EXPECT_EQ(call(&both.logits, nullptr, &both.c), LABELSMOOTH_INVALID_ARGUMENT);
  for (int32_t labelsmooth_options::* field :
       {&labelsmooth_options::weighting, &labelsmooth_options::support, &labelsmooth_options::reduction,
        &labelsmooth_options::denominator, &labelsmooth_options::empty}) {
    for (const int32_t value : {-1, 3, INT32_MAX}) {
      labelsmooth_options bad = both.c;
      bad.*field = value;
      EXPECT_EQ(call(&both.logits, &both.target, &bad), LABELSMOOTH_INVALID_ARGUMENT);
    }
  }
  labelsmooth_view negative = both.logits;
  negative.outer = -1;
  EXPECT_EQ(call(&negative, &both.target, &both.c), LABELSMOOTH_INVALID_ARGUMENT);
  labelsmooth_view huge = both.logits;
  huge.outer = huge.inner = INT64_MAX;
  EXPECT_EQ(call(&huge, &both.target, &both.c), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_EQ(labelsmooth_finish(nullptr, -1, 9, &both.target, nullptr, nullptr, nullptr),
            LABELSMOOTH_INVALID_ARGUMENT);

  // Each thread has its own message.
  const std::string mine = labelsmooth_last_error();
  std::thread([] {
    EXPECT_STREQ(labelsmooth_last_error(), "");
    labelsmooth_set_threads(-1);
    EXPECT_THAT(labelsmooth_last_error(), HasSubstr("-1 found, 0 to 1024"));
  }).join();
  EXPECT_EQ(labelsmooth_last_error(), mine);
}

// Runs backwards in pieces of 3.
void backwards(void* host, int64_t tasks, labelsmooth_body body, void* context) {
  ++*static_cast<int*>(host);
  for (int64_t end = tasks; end > 0; end -= 3) body(context, std::max<int64_t>(0, end - 3), end);
}

TEST(CApi, HostThreads) {
  const Batch<float> batch(300, 400, 5);
  const labelsmooth_view logits = labelsmooth_rows(batch.z.data(), LABELSMOOTH_F32, 300, 400);
  const labelsmooth_target target = labelsmooth_labels(batch.labels.data(), LABELSMOOTH_I64, 300);
  labelsmooth_options options = labelsmooth_default_options();
  int calls = 0;
  options.parallel_for = backwards;
  options.host = &calls;
  labelsmooth_result result = empty_result();
  ASSERT_EQ(labelsmooth_cross_entropy(&logits, &target, nullptr, &options, nullptr, nullptr, &result),
            LABELSMOOTH_OK);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(result.loss, cross_entropy(batch.logits(), batch.labels).loss);
  options.parallel_for = [](void*, int64_t, labelsmooth_body body, void* context) { body(context, 0, 1); };
  EXPECT_EQ(labelsmooth_cross_entropy(&logits, &target, nullptr, &options, nullptr, nullptr, &result),
            LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_THAT(labelsmooth_last_error(), HasSubstr("parallel_for: 1 of"));
}

TEST(CApi, Process) {
  int count = 0;
  const char* name = nullptr;
  EXPECT_EQ(labelsmooth_set_threads(2), LABELSMOOTH_OK);
  EXPECT_EQ(labelsmooth_threads(&count), LABELSMOOTH_OK);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(labelsmooth_set_threads(0), LABELSMOOTH_OK);
  EXPECT_EQ(labelsmooth_isa(&name), LABELSMOOTH_OK);
  EXPECT_EQ(name, isa());
  EXPECT_EQ(labelsmooth_set_isa("abacus"), LABELSMOOTH_INVALID_ARGUMENT);
  EXPECT_THAT(labelsmooth_last_error(), HasSubstr("abacus"));
  EXPECT_EQ(labelsmooth_set_isa(""), LABELSMOOTH_OK);
  EXPECT_THAT(labelsmooth_version(), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

}  // namespace
}  // namespace labelsmooth
