// SPDX-License-Identifier: MIT
// Laws of the loss that need no reference, and any combination of options that has one.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>  // std::find, std::shuffle
#include <cmath>      // std::abs, std::isfinite
#include <cstring>    // std::memcmp
#include <numeric>    // std::iota
#include <random>     // std::mt19937_64
#include <string>     // std::string
#include <vector>     // std::vector

#include "batch.h"
#include "labelsmooth/parallel.h"
#include "settings.h"

namespace labelsmooth {
namespace {

using Names = std::vector<std::string>;

// From [low, high), all equally likely; RapidCheck's own range begins narrow.
template <class Int>
Int between(Int low, Int high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<Int>(low, high));
}

// Any settings that go together, of any options but those named, on a case of the given size. Shrinks to
// none.
LossCase draw(int64_t outer, int64_t classes, int64_t inner, const Names& without = {}) {
  return *rc::gen::exec([=] {
    LossCase c = base_case(classes, *rc::gen::arbitrary<uint32_t>(), outer, inner);
    c.name = std::to_string(outer) + " x " + std::to_string(classes) + " x " + std::to_string(inner);
    std::vector<const Setting*> chosen;
    for (const Setting& setting : settings()) {
      if (between(0, 8) < 5) continue;
      if (std::find(without.begin(), without.end(), setting.option) != without.end()) continue;
      if (setting.name == std::string("others") && classes == 1) continue;
      if (setting.name == std::string("error")) continue;  // would have to know whether the weights sum to 0
      bool fits = true;
      for (const Setting* other : chosen)
        fits &= setting.option != std::string(other->option) && refusal_of(setting, *other).empty();
      if (!fits) continue;
      chosen.push_back(&setting);
      setting.apply(c);
      c.name += "; " + name_of(setting);
    }
    return c;
  });
}

LossCase draw_small(const Names& without = {}) {
  const auto outer = between<int64_t>(1, 4), inner = between<int64_t>(1, 3);
  return draw(outer, between<int64_t>(1, 40), inner, without);
}

// Fails the property, not the test, so that RapidCheck can shrink.
template <class Body>
void require(const Body& body) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    body();
  }
  if (results.size() > 0) RC_FAIL(results.GetTestPartResult(0).message());
}

template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
}
bool same_bits(const Outcome& x, const Outcome& y) {
  return same_bits(x.loss, y.loss) && same_bits(x.nll, y.nll) && same_bits(x.entropy, y.entropy) &&
         same_bits(x.confidence, y.confidence) && same_bits(x.argmax, y.argmax) &&
         same_bits(x.gradient, y.gradient) &&
         std::memcmp(&x.result.loss, &y.result.loss, sizeof(double)) == 0;
}

// Equal but for the rounding of differently ordered sums in f64.
void expect_close(const std::vector<double>& x, const std::vector<double>& y, const char* what) {
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(y[i])) {
      EXPECT_NEAR(x[i], y[i], 1e-12 * (1 + std::abs(y[i]))) << what << " " << i;
    } else {
      EXPECT_EQ(std::isnan(x[i]), std::isnan(y[i])) << what << " " << i;
      if (!std::isnan(y[i])) {
        EXPECT_EQ(x[i], y[i]) << what << " " << i;
      }
    }
  }
}
void expect_close(const LossCase& x, const LossCase& y) {
  require([&] {
    const Outcome a = run(x), b = run(y);
    expect_close(a.loss, b.loss, "loss");
    expect_close(a.gradient, b.gradient, "gradient");
    expect_close({a.result.loss, a.result.denominator}, {b.result.loss, b.result.denominator}, "result");
  });
}

// ---- Any combination ----

RC_GTEST_PROP(Any, SmallCaseIsTheReference, ()) {
  const LossCase c = draw_small();
  for_each_isa([&] { require([&] { expect_reference(c); }); });
}

RC_GTEST_PROP(Any, CaseOfSeveralBlocksIsTheReference, ()) {
  const LossCase c = draw(2, between<int64_t>(500, 1100), 1);
  for_each_isa([&] { require([&] { expect_reference(c); }); });
}

// ---- Gradient ----

RC_GTEST_PROP(Gradient, IsTheFiniteDifference, ()) {
  LossCase c =
      draw(between<int64_t>(1, 3), between<int64_t>(2, 7), 1, {"type", "write", "upstream", "logits"});
  if (c.options.reduction == Reduction::none) c.options.reduction = Reduction::sum;
  c.dtype = DType::f64;
  const Outcome out = run(c);
  if (!std::isfinite(out.result.loss)) return;
  for (size_t i = 0; i < c.logits.size(); ++i) {
    const double z = c.logits[i], h = 1e-5;
    c.logits[i] = z + h;
    const double above = run(c).result.loss;
    c.logits[i] = z - h;
    const double below = run(c).result.loss;
    c.logits[i] = z;
    const double scale = 1 + std::abs(out.result.loss);
    require([&] { EXPECT_NEAR(out.gradient[i], (above - below) / (2 * h), 1e-8 * scale) << i; });
  }
}

// The softmax moves mass about, it makes none: whatever the mass, the weights, the entropy penalty, MaxSup.
RC_GTEST_PROP(Gradient, OfARowSumsToZero, ()) {
  LossCase c = draw_small({"type", "write", "soft cap", "z-loss"});
  c.dtype = DType::f64;
  const Outcome out = run(c);
  for (int64_t r = 0; r < c.rows(); ++r) {
    double sum = 0, size = 0;
    for (int64_t k = 0; k < c.classes; ++k) {
      sum += out.gradient[r * c.classes + k];
      size += std::abs(out.gradient[r * c.classes + k]);
    }
    if (!std::isnan(size)) require([&] { EXPECT_NEAR(sum, 0, 1e-14 * (1 + size)) << r; });
  }
}

// ---- What must not matter ----

// Logits in steps of 1/16 stay exact when shifted, in f32 too.
RC_GTEST_PROP(Invariance, ShiftOfALogitsRowChangesNoBit, (bool f64)) {
  LossCase c = draw_small({"type", "scale", "soft cap", "z-loss", "write"});
  c.dtype = f64 ? DType::f64 : DType::f32;
  for (double& z : c.logits) z = std::round(z * 16) / 16;
  const Outcome out = run(c);
  for (const double shift : {1e6, -1e6}) {
    LossCase shifted = c;
    for (double& z : shifted.logits) z += shift;
    RC_ASSERT(same_bits(out, run(shifted)));
  }
}

RC_GTEST_PROP(Invariance, ClassesMayBePermuted, ()) {
  LossCase c = draw_small({"type", "write", "pipeline"});
  c.dtype = DType::f64;
  std::vector<int64_t> to(c.classes);
  std::iota(to.begin(), to.end(), 0);
  std::shuffle(to.begin(), to.end(), std::mt19937_64(*rc::gen::arbitrary<uint32_t>()));
  const auto permute = [&](auto& values) {
    const auto old = values;
    for (size_t i = 0; i < old.size(); ++i) values[i / c.classes * c.classes + to[i % c.classes]] = old[i];
  };
  LossCase p = c;
  permute(p.logits), permute(p.dense), permute(p.prior), permute(p.mask);
  permute(p.class_weights), permute(p.amount_by_class);
  if (c.prior_kind == Prior::Kind::by_label) {
    const auto old = p.prior;
    for (int64_t y = 0; y < c.classes; ++y)
      std::copy_n(old.begin() + y * c.classes, c.classes, p.prior.begin() + to[y] * c.classes);
  }
  for (auto* labels : {&p.labels, &p.second}) {
    for (int64_t& label : *labels) label = label < 0 ? label : to[label];
  }
  if (c.options.ignore_index >= 0) p.options.ignore_index = to[*c.options.ignore_index];
  Outcome out = run(c);
  permute(out.gradient);
  const Outcome permuted = run(p);
  require([&] {
    expect_close(permuted.loss, out.loss, "loss");
    expect_close(permuted.gradient, out.gradient, "gradient");
    expect_close({permuted.result.loss}, {out.result.loss}, "result");
  });
}

RC_GTEST_PROP(Invariance, ThreadsChangeNoBit, ()) {
  const LossCase c = draw(3, 1200, 20, {"prior"});  // more elements than one thread takes
  set_threads(1);
  const Outcome out = run(c);
  for (int count = 2; count <= 8; count += 3) {
    set_threads(count);
    RC_ASSERT(same_bits(out, run(c)));
  }
  set_threads(0);
}

// The rows `order` of a case with one row an outer element.
LossCase rows_of(const LossCase& c, const std::vector<int64_t>& order) {
  LossCase result = c;
  const auto take = [&](auto& to, const auto& from, int64_t width) {
    if (static_cast<int64_t>(from.size()) != c.rows() * width) return;
    to.clear();
    for (const int64_t r : order)
      to.insert(to.end(), from.begin() + r * width, from.begin() + (r + 1) * width);
  };
  result.outer = static_cast<int64_t>(order.size());
  for (auto field :
       {&LossCase::weight, &LossCase::amount_by_row, &LossCase::row_weights, &LossCase::upstream_rows})
    take(result.*field, c.*field, 1);
  for (auto field : {&LossCase::labels, &LossCase::second}) take(result.*field, c.*field, 1);
  for (auto field : {&LossCase::logits, &LossCase::dense}) take(result.*field, c.*field, c.classes);
  if (c.prior_kind == Prior::Kind::by_row) take(result.prior, c.prior, c.classes);
  if (c.rows() > 1) take(result.mask, c.mask, c.classes);
  return result;
}

RC_GTEST_PROP(Invariance, ABatchAroundARowChangesNoBit, ()) {
  LossCase c = draw(between<int64_t>(2, 8), between<int64_t>(1, 100), 1, {"empty", "write", "layout"});
  if (c.options.reduction == Reduction::mean) c.options.denominator = {Denominator::constant, 7};
  const Outcome out = run(c);
  std::vector<int64_t> order(c.rows());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(*rc::gen::arbitrary<uint32_t>()));
  order.resize(between<size_t>(1, order.size() + 1));
  const Outcome some = run(rows_of(c, order));
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t r = order[i];
    RC_ASSERT(std::memcmp(&some.loss[i], &out.loss[r], sizeof(double)) == 0);
    RC_ASSERT(some.argmax[i] == out.argmax[r]);
    RC_ASSERT(std::memcmp(&some.gradient[i * c.classes], &out.gradient[r * c.classes],
                          c.classes * sizeof(double)) == 0);
  }
}

// Shards of one chunk each fold as the whole does. Only the gradient of a row whose exps are kept is rounded
// at another place than theirs.
TEST(Invariance, ShardsOfOneChunkHaveTheBitsOfTheWhole) {
  for (const Setting& setting : settings()) {
    if (setting.name == std::string("by label") || setting.option == std::string("pipeline")) continue;
    LossCase c = base_case(65539, 5, 2, 1);
    setting.apply(c);
    if (c.options.empty == Empty::error) c.labels[0] = 1;
    Outcome whole = run(c);
    c.cuts = {0, 32768, 65536, 65539};
    const Outcome shards = run(c);
    if (!c.asks_entropy) {
      expect_reference(c);
      whole.gradient = shards.gradient;
    }
    EXPECT_TRUE(same_bits(whole, shards)) << name_of(setting);
  }
}

// ---- Two ways to say the same ----

RC_GTEST_PROP(Equivalence, OneHotRowsAreLabels, ()) {
  LossCase c = draw_small({"target", "weighting", "amount", "class weights", "prior", "ignore"});
  if (c.prior_kind == Prior::Kind::by_label) return;
  LossCase dense = c;
  dense.kind = Target::Kind::dense;
  dense.dense_has_labels = true;
  dense.dense.assign(c.logits.size(), 0);
  for (int64_t r = 0; r < c.rows(); ++r) dense.dense[r * c.classes + c.labels[r]] = 1;
  LossCase twice = c;  // the same label twice, whatever the weights
  twice.kind = Target::Kind::mixed;
  twice.second = twice.labels;
  for (LossCase* other : {&dense, &twice}) other->dtype = DType::f64;
  c.dtype = DType::f64;
  expect_close(dense, c);
  expect_close(twice, c);
}

RC_GTEST_PROP(Equivalence, UnitWeightsAreNone, ()) {
  LossCase c = draw_small({"class weights", "row weights", "max suppression", "type", "write"});
  c.dtype = DType::f64;
  LossCase weighted = c;
  weighted.class_weights.assign(c.classes, 1);
  weighted.row_weights.assign(c.rows(), 1);
  expect_close(weighted, c);
}

RC_GTEST_PROP(Equivalence, SharedSettingsAreEqualOnes, ()) {
  LossCase c =
      draw_small({"target", "rule", "prior", "amount", "max suppression", "type", "write", "weighting"});
  c.dtype = DType::f64;
  c.prior_kind = Prior::Kind::shared;
  c.prior = priors(1, c.classes);
  const auto repeat = [&](int64_t count) {
    std::vector<double> rows;
    for (int64_t i = 0; i < count; ++i) rows.insert(rows.end(), c.prior.begin(), c.prior.end());
    return rows;
  };
  LossCase by_row = c, by_label = c, amount_by_row = c, amount_by_class = c, dense = c;
  by_row.prior_kind = Prior::Kind::by_row, by_row.prior = repeat(c.rows());
  by_label.prior_kind = Prior::Kind::by_label, by_label.prior = repeat(c.classes);
  amount_by_row.amount_by_row.assign(c.rows(), c.options.smoothing.amount);
  amount_by_class.amount_by_class.assign(c.classes, c.options.smoothing.amount);
  amount_by_row.options.smoothing.amount = amount_by_class.options.smoothing.amount = 0;
  for (const LossCase* other : {&by_row, &by_label, &amount_by_row, &amount_by_class})
    expect_close(*other, c);
}

RC_GTEST_PROP(Equivalence, AMaskIsMinusInfinity, ()) {
  LossCase c = draw_small({"logits", "mask", "support", "weighting", "rule", "write"});
  c.options.support = Support::finite;
  LossCase masked = c;
  for (size_t i = 0; i < c.logits.size(); ++i) {
    masked.mask.push_back(i % 3 == 1 ? 0 : 255);
    if (i % 3 != 1) continue;
    c.logits[i] = -kInf;
    masked.logits[i] = i % 2 ? kNan : kInf;  // whatever is there
  }
  RC_ASSERT(same_bits(run(masked), run(c)));
}

RC_GTEST_PROP(Equivalence, ScaleIsAFactorOfTheLogits, ()) {
  LossCase c = draw_small({"scale", "soft cap", "type", "write"});
  c.dtype = DType::f64;
  LossCase scaled = c;
  c.options.scale = .5;
  for (double& z : scaled.logits) z *= .5;
  Outcome out = run(scaled);
  for (double& dz : out.gradient) dz *= .5;  // by the chain rule
  const Outcome of_scale = run(c);
  RC_ASSERT(same_bits(of_scale.argmax, out.argmax));
  require([&] {
    expect_close(of_scale.loss, out.loss, "loss");
    expect_close(of_scale.gradient, out.gradient, "gradient");
    expect_close({of_scale.result.loss}, {out.result.loss}, "result");
  });
}

RC_GTEST_PROP(Equivalence, MixingIsLinear, ()) {
  LossCase c = draw_small({"target", "weighting", "amount", "prior", "ignore", "type", "write", "denominator",
                           "reduction", "upstream", "logits", "mask"});
  c.dtype = DType::f64;
  c.options.reduction = Reduction::sum;
  LossCase mixed = c, second = c;
  mixed.kind = Target::Kind::mixed;
  second.labels = c.second;
  const Outcome out = run(mixed), y1 = run(c), y2 = run(second);
  for (int64_t i = 0; i < c.rows() * c.classes; ++i) {
    const int64_t r = i / c.classes;
    const double lambda = c.weight[r];
    require([&] {
      EXPECT_NEAR(out.loss[r], lambda * y1.loss[r] + (1 - lambda) * y2.loss[r],
                  1e-12 * (1 + std::abs(out.loss[r])));
      EXPECT_NEAR(out.gradient[i], lambda * y1.gradient[i] + (1 - lambda) * y2.gradient[i], 1e-13);
    });
  }
}

RC_GTEST_PROP(Equivalence, MicroBatchesOfACommonDenominatorAreTheBatch, ()) {
  LossCase c = draw(6, between<int64_t>(1, 40), 1, {"denominator", "reduction", "upstream", "empty"});
  c.options.denominator = {Denominator::constant, 5};
  const Outcome whole = run(c), first = run(rows_of(c, {0, 1, 2, 3})), rest = run(rows_of(c, {4, 5}));
  std::vector<double> gradient = first.gradient;
  gradient.insert(gradient.end(), rest.gradient.begin(), rest.gradient.end());
  if (c.write != Write::accumulate) RC_ASSERT(same_bits(gradient, whole.gradient));
  require([&] { expect_close({first.result.loss + rest.result.loss}, {whole.result.loss}, "loss"); });
}

}  // namespace
}  // namespace labelsmooth
