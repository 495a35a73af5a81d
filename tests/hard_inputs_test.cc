// SPDX-License-Identifier: MIT
// What breaks losses: borders of lanes and chunks, -inf by the chunk, memory that must not be touched, sizes
// past 2^31, arguments that lie, and a floating-point environment that somebody else has changed.
#include <gtest/gtest.h>
#include <sys/mman.h>  // mmap, mprotect, munmap
#include <unistd.h>    // sysconf

#include <limits>  // std::numeric_limits
#include <vector>  // std::vector
#ifdef __SSE__
#include <xmmintrin.h>  // _mm_getcsr, _mm_setcsr
#endif

#include "batch.h"
#include "error_of.h"
#include "labelsmooth/parallel.h"
#include "settings.h"

namespace labelsmooth {
namespace {

constexpr float kInfF = std::numeric_limits<float>::infinity();

// ---- Sizes ----

TEST(Sizes, EverySettingWithFewClassesOrNoRows) {
  for (const int64_t classes : {1, 2, 3, 16}) {
    for (const int64_t outer : {0, 1, 3}) {
      for (const Setting& setting : settings()) {
        if (classes == 1 && setting.name == std::string("others")) continue;
        LossCase c = base_case(classes, 3, outer);
        setting.apply(c);
        SCOPED_TRACE(testing::Message() << name_of(setting) << " " << outer << " x " << classes);
        // The one weight of one class is not 0, so that only no rows at all are an error.
        if (c.options.empty == Empty::error && outer == 0) {
          EXPECT_EQ(error_of([&] { run(c); }), "labels: no row counts, so there is no mean");
        } else {
          expect_reference(c);
        }
      }
    }
  }
}

TEST(Sizes, BordersOfChunks) {
  for (const int64_t classes : {32767, 32768, 32769, 65539}) {
    for (const char* name :
         {"mixed", "dense", "flip above 1/2", "shared", "by row", "given", "finite", "soft cap",
          "entropy penalty", "max suppression", "bf16", "strided", "in place", "two shards"}) {
      LossCase c = base_case(classes, 5, 1, 2);
      for (const Setting& setting : settings()) {
        if (setting.name == std::string("impossible classes") && name == std::string("finite"))
          setting.apply(c);
        if (setting.name == std::string(name) && setting.option != std::string("mask")) setting.apply(c);
      }
      SCOPED_TRACE(testing::Message() << name << " " << classes);
      expect_reference(c);
      if (HasFailure()) return;
    }
  }
}

// Whole chunks without a possible class, first, in the middle, last; the smoothing spreads over the others.
TEST(Sizes, ImpossibleChunks) {
  for (int chunk = 0; chunk < 3; ++chunk) {
    for (const bool dense : {false, true}) {
      LossCase c = base_case(2 * 32768 + 40, 9, 2, 1);
      c.options.support = Support::finite;
      if (dense) c.kind = Target::Kind::dense;
      for (int64_t i = 0; i < c.rows() * c.classes; ++i) {
        if (i % c.classes / 32768 == chunk) c.logits[i] = -kInf, c.dense[i] = 0;
      }
      for (int64_t& label : c.labels) label = chunk == 0 ? 65536 : 3;
      for_each_isa([&] { expect_reference(c); });
      c.options.support = Support::all;  // the loss is +inf, but for the label's own part
      expect_reference(c);
    }
  }
}

// Addresses that only suit the type: the same bits at every offset within a vector.
TEST(Sizes, AnyAlignment) {
  const Batch<float> batch(3, 67, 3);
  std::vector<float> first;
  for (int shift = 0; shift < 17; ++shift) {
    std::vector<float> z(shift + batch.z.size()), dz(z.size());
    std::copy(batch.z.begin(), batch.z.end(), z.begin() + shift);
    cross_entropy({z.data() + shift, 3, 67}, batch.labels, Gradient{dz.data() + shift, 3, 67},
                  {.smoothing = uniform(.1)});
    dz.erase(dz.begin(), dz.begin() + shift);
    if (first.empty()) first = dz;
    EXPECT_EQ(dz, first) << shift;
  }
}

// Two rows, or three classes, further apart than 2^31 elements, in memory of which only a few pages exist.
TEST(Sizes, ElementsPast2To31) {
  constexpr int64_t kFar = (int64_t{1} << 31) + 7;
  constexpr size_t kBytes = (2 * kFar + 16) * sizeof(float);
  const auto reserve = [] {
    return mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  };
  void* const memory = reserve();
  void* const gradient = reserve();
  if (memory == MAP_FAILED || gradient == MAP_FAILED) GTEST_SKIP() << "no address space";
  const Batch<float> near(2, 3, 5);
  std::vector<float> near_dz(6);
  const double loss =
      cross_entropy(near.logits(), near.labels, Gradient{near_dz.data(), 2, 3}, {.smoothing = uniform(.1)})
          .loss;
  for (const auto& [row_stride, class_stride] : {std::pair{kFar, int64_t{1}}, std::pair{int64_t{4}, kFar}}) {
    auto* const z = static_cast<float*>(memory);
    Logits logits(z, 2, 3);
    Gradient dlogits(static_cast<float*>(gradient), 2, 3);
    logits.outer_stride = dlogits.outer_stride = row_stride;
    logits.class_stride = dlogits.class_stride = class_stride;
    for (int r = 0; r < 2; ++r) {
      for (int k = 0; k < 3; ++k) z[logits.index(r, k)] = near.z[r * 3 + k];
    }
    EXPECT_EQ(cross_entropy(logits, near.labels, dlogits, {.smoothing = uniform(.1)}).loss, loss);
    for (int r = 0; r < 2; ++r) {
      for (int k = 0; k < 3; ++k)
        EXPECT_EQ(static_cast<const float*>(gradient)[dlogits.index(r, k)], near_dz[r * 3 + k]);
    }
  }
  munmap(memory, kBytes);
  munmap(gradient, kBytes);
}

// z - max passes the largest f32, the loss of a dense target does not.
TEST(Sizes, DenseTargetsOfFiniteMasks) {
  for_each_isa([] {
    const float most = std::numeric_limits<float>::max();
    const std::vector<float> z = {most, -most, 0}, t = {.5f, .25f, .25f};
    EXPECT_NEAR(cross_entropy({z.data(), 1, 3}, dense({t.data(), 1, 3})).loss, .75 * double(most), 1e32);
  });
}

// ---- Memory that must not be read ----

// Two pages: a row on the readable one, a row on the forbidden one.
class GuardedRows {
 public:
  GuardedRows() : page_(sysconf(_SC_PAGESIZE)) {
    memory_ = mmap(nullptr, 2 * page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(static_cast<char*>(memory_) + page_, page_, PROT_NONE);
  }
  ~GuardedRows() { munmap(memory_, 2 * page_); }
  GuardedRows(const GuardedRows&) = delete;
  template <class T>
  T* row() {
    return static_cast<T*>(memory_);
  }
  template <class T>
  Rows rows(int64_t classes) {
    Rows view(row<T>(), 2, classes);
    view.outer_stride = page_ / static_cast<int64_t>(sizeof(T));
    return view;
  }

 private:
  int64_t page_;
  void* memory_;
};

TEST(Untouched, WhatBelongsToAnIgnoredRow) {
  GuardedRows logits, targets, prior, mask, written;
  for (int k = 0; k < 8; ++k) {
    logits.row<float>()[k] = static_cast<float>(k);
    targets.row<float>()[k] = prior.row<float>()[k] = .125f;
    mask.row<uint8_t>()[k] = k != 5;
  }
  const std::vector<int> labels = {2, -100};
  const std::vector<float> halves = {.5f, .5f};
  Options options = {.smoothing = uniform(.1, {Prior::Kind::by_row, prior.rows<float>(8)}),
                     .support = Support::finite,
                     .mask = mask.rows<uint8_t>(8)};
  const Rows z = logits.rows<float>(8);
  Gradient dz(written.row<float>(), 2, 8);
  dz.outer_stride = z.outer_stride;
  for (const Target& target :
       {Target(labels), mixed(labels, labels, halves), dense(targets.rows<float>(8), labels)}) {
    EXPECT_EQ(cross_entropy(z, target, options).counted, 1);
    // Accumulating, the row has nothing to add, and is not written either.
    EXPECT_EQ(cross_entropy(z, target, dz, options, {}, {.accumulate = true}).counted, 1);
  }
  options.ignore_index = {};
  EXPECT_EQ(error_of([&] { cross_entropy(z, labels, options); }),
            "labels: row 1 has -100, 0 to 7 are allowed");
}

TEST(Untouched, RowsOfNoWeightHaveNoLossWhateverTheyHold) {
  const float nan = std::nanf("");
  for (const float bad : {nan, kInfF, -kInfF, std::numeric_limits<float>::signaling_NaN()}) {
    const std::vector<float> z = {1, 2, 3, bad, bad, bad}, weights = {1, 0};
    std::vector<float> dz(6, 9);
    const Result result = cross_entropy(
        {z.data(), 2, 3}, std::vector<int>{0, 1}, Gradient{dz.data(), 2, 3},
        {.smoothing = uniform(.1), .row_weights = weights, .z_loss = .1, .entropy_penalty = .1});
    EXPECT_TRUE(std::isfinite(result.loss));
    EXPECT_EQ(result.counted, 2);
    EXPECT_EQ(std::vector<float>(dz.begin() + 3, dz.end()), std::vector<float>(3));
  }
}

// A mean over no weight is 0 where asked for, and so is its gradient, whatever the rows hold.
TEST(Untouched, MeanOverNoWeight) {
  for (const float bad : {1.f, std::nanf(""), kInfF}) {
    const std::vector<float> z = {bad, 2, 3}, weights = {0, 1, 1};
    std::vector<float> dz(3, 9);
    const Options options = {.class_weights = weights, .empty = Empty::zero};
    EXPECT_EQ(cross_entropy({z.data(), 1, 3}, std::vector<int>{0}, Gradient{dz.data(), 1, 3}, options).loss,
              0);
    EXPECT_EQ(dz, std::vector<float>(3));
  }
}

// NaN in a counted row is in that row's outputs, whatever else is on.
TEST(Untouched, NanStaysInItsRowUnderEverySetting) {
  for (const Setting& setting : settings()) {
    if (setting.option == std::string("mask") || setting.name == std::string("error")) continue;
    LossCase c = base_case();
    c.options.reduction = Reduction::none;
    setting.apply(c);
    if (setting.option == std::string("denominator")) continue;
    LossCase poisoned = c;
    poisoned.logits[4 * c.classes + 11] = kNan;
    const Outcome clean = run(c), out = run(poisoned);
    SCOPED_TRACE(name_of(setting));
    for (int64_t r = 0; r < c.rows(); ++r) {
      if (r == 4 && out.argmax[r] >= 0) {
        EXPECT_TRUE(std::isnan(out.loss[r]));
        EXPECT_EQ(out.argmax[r], 11);
      } else {
        EXPECT_EQ(std::memcmp(&out.loss[r], &clean.loss[r], sizeof(double)), 0);
      }
      for (int64_t i = r * c.classes; i < (r + 1) * c.classes; ++i) {
        if (r == 4 && out.argmax[r] >= 0) {
          EXPECT_TRUE(std::isnan(out.gradient[i]) || c.options.reduction == Reduction::mean);
        } else {
          ASSERT_EQ(std::memcmp(&out.gradient[i], &clean.gradient[i], sizeof(double)), 0);
        }
      }
    }
  }
}

// A prior that is 0 on the whole support is no distribution: NaN, in one call or several, and not an error.
TEST(Untouched, PriorOfNoMassOnTheSupport) {
  LossCase c = base_case(4, 3, 1, 1);
  c.options.support = Support::finite;
  c.prior_kind = Prior::Kind::shared;
  c.prior = {0, 0, 0, 1};
  c.logits[3] = -kInf;
  c.labels[0] = 1;
  expect_reference(c);
  c.cuts = {0, 2, 4};
  expect_reference(c);
}

// ---- The environment ----

#ifdef __SSE__
// Flushed denormals change no bit of any setting, and the mode stays as it was.
TEST(Environment, FlushToZero) {
  for (const Setting& setting : settings()) {
    LossCase c = base_case(37, 21);
    for (double& z : c.logits) z *= 12;  // probabilities down to 1e-50
    setting.apply(c);
    const Outcome out = run(c);
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    const Outcome flushed = run(c);
    EXPECT_EQ(_mm_getcsr() & ~0x3fu, (before | 0x8040) & ~0x3fu);
    _mm_setcsr(before);
    SCOPED_TRACE(name_of(setting));
    for (size_t i = 0; i < out.loss.size(); ++i)
      EXPECT_EQ(std::memcmp(&out.loss[i], &flushed.loss[i], sizeof(double)), 0);
    for (size_t i = 0; i < out.gradient.size(); ++i) {
      if (std::isnan(out.gradient[i])) continue;
      const double least = c.dtype == DType::f64 ? 0x1p-1022 : 0x1p-126;
      EXPECT_NEAR(out.gradient[i], flushed.gradient[i], least) << i;
    }
  }
}
#endif

}  // namespace
}  // namespace labelsmooth
