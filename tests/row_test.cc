// SPDX-License-Identifier: MIT
// Long rows, whose reference moves: the largest class in any block, rising and falling rows, rows that begin
// with impossible classes, and exps that are kept for the gradient.
#include <gtest/gtest.h>

#include <algorithm>   // std::fill_n, std::sort
#include <functional>  // std::greater
#include <vector>      // std::vector

#include "batch.h"
#include "settings.h"

namespace labelsmooth {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};

// The fewest that go row by row; where the reference is taken (1,024), the blocks (16 vectors) and no
// multiple of anything.
constexpr int64_t kSizes[] = {401, 1023, 1024, 1025, 1040, 1300, 2048, 5003};

LossCase case_of(int64_t classes, DType dtype) {
  LossCase c = base_case(classes, 23, 1, 2);
  c.dtype = dtype;
  c.asks_entropy = false;
  for (int64_t k = 0; k < classes; ++k) {
    c.class_weights.push_back(.25 * double((k * 7) % 9));
    c.prior.push_back(double(k % 4));
  }
  double sum = 0;
  for (const double share : c.prior) sum += share;
  for (double& share : c.prior) share /= sum;
  return c;
}

// With neither class weights nor a prior vector, and with both.
void expect_reference_of_sums(LossCase c) {
  c.prior_kind = Prior::Kind::shared;
  for_each_isa([&] { expect_reference(c); });
  c.prior_kind = Prior::Kind::uniform;
  c.prior.clear(), c.class_weights.clear();
  for_each_isa([&] { expect_reference(c); });
  c.options.smoothing = uniform(0);
  for_each_isa([&] { expect_reference(c); });
}

TEST(LongRows, RisingAndFalling) {
  for (const DType dtype : kTypes) {
    for (const int64_t classes : kSizes) {
      LossCase c = case_of(classes, dtype);
      for (double& z : c.logits) z *= 8;  // far more than the slack between first and last
      const auto middle = c.logits.begin() + classes;
      std::sort(c.logits.begin(), middle);
      std::sort(middle, c.logits.end(), std::greater());
      SCOPED_TRACE(testing::Message() << name(dtype) << " " << classes);
      expect_reference_of_sums(c);
      if (HasFailure()) return;
    }
  }
}

// By less than the slack, by a little more, by as much as underflows, in the first, a middle and the last
// place of its block; twice, so that the lower index has to win, and in another block too.
TEST(LongRows, TheLargestAnywhere) {
  constexpr int64_t kClasses = 1300;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    for (const double above : {.5, 1.75, 2.25, 70., 400.}) {
      if (dtype == DType::f64 && above == 400) continue;  // nearly equal terms, whose rounding is systematic
      for (const int64_t at : {int64_t{1023}, int64_t{1024}, int64_t{1151}, int64_t{1280}, kClasses - 1}) {
        LossCase c = case_of(kClasses, dtype);
        for (double& z : c.logits) z = std::round(z * 4) / 4;
        double largest = -kInf;
        for (const double z : c.logits) largest = std::max(largest, z);
        c.logits[at] = c.logits[kClasses + at] = largest + above;
        c.logits[kClasses + at / 2] = largest + above;  // of the second row the argmax
        c.labels = {at, at};
        SCOPED_TRACE(testing::Message() << name(dtype) << " above " << above << " at " << at);
        EXPECT_EQ(run(c).argmax, (std::vector<int64_t>{at, at / 2}));
        expect_reference_of_sums(c);
        if (HasFailure()) return;
      }
    }
  }
}

// Exps are kept chunk by chunk, each with references of its own, and not of rows past 262,144 classes.
TEST(LongRows, SeveralChunks) {
  for (const int64_t classes : {70'003, 262'144, 262'145}) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
      for (const Write write : {Write::separate, Write::in_place}) {
        LossCase c = case_of(classes, dtype);
        c.write = write;
        c.asks_entropy = write == Write::in_place && classes == 70'003;  // with it nothing is kept
        for (double& z : c.logits) z *= 4;
        const auto middle = c.logits.begin() + classes;
        std::sort(c.logits.begin(), middle);
        std::sort(middle, c.logits.end(), std::greater());
        std::fill_n(middle + 32'768, 32'768, -kInf);  // a chunk without a possible class
        c.labels = {classes - 1, 3};
        SCOPED_TRACE(testing::Message() << name(dtype) << " " << classes << " write " << int(write));
        expect_reference(c);
        if (HasFailure()) return;
      }
    }
  }
}

TEST(LongRows, BeginWithImpossibleClasses) {
  for (const DType dtype : kTypes) {
    for (const int64_t first : {1, 1024, 1025, 2000, 4000}) {
      LossCase c = case_of(4001, dtype);
      for (int64_t k = 0; k < first; ++k) {
        c.logits[k] = -kInf;
        c.logits[4001 + k] *= dtype == DType::f32 ? 1e30 : 1e3;  // possible, and far away
        if (c.logits[4001 + k] > 0) c.logits[4001 + k] *= -1;
      }
      c.labels = {4000, 4000};
      SCOPED_TRACE(testing::Message() << name(dtype) << " " << first);
      expect_reference_of_sums(c);
      if (HasFailure()) return;
    }
  }
}

// In place the exps must not stand where logits are still to be read; entropy and its penalty need z again.
TEST(LongRows, EveryWayOfWriting) {
  for (const DType dtype : kTypes) {
    for (const Layout layout : {Layout::rows, Layout::strided, Layout::reversed, Layout::padded}) {
      for (const Write write : {Write::separate, Write::in_place, Write::accumulate}) {
        for (const double penalty : {0., .25}) {
          LossCase c = case_of(1300, dtype);
          c.layout = layout, c.write = write, c.options.entropy_penalty = penalty;
          c.logits[1200] = 30;
          SCOPED_TRACE(testing::Message()
                       << name(dtype) << " layout " << int(layout) << " write " << int(write));
          for (const bool entropy : {false, true}) {
            c.asks_entropy = entropy;
            for_each_isa([&] { expect_reference(c); });
          }
          if (HasFailure()) return;
        }
      }
    }
  }
}

}  // namespace
}  // namespace labelsmooth
