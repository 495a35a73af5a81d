// SPDX-License-Identifier: MIT
// Rows side by side: rows that a lane does not get right among others, the borders of tiles, and the
// arithmetic of rows on its own.
#include "tiles.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::copy_n, std::max
#include <cmath>      // std::abs, std::log1p
#include <memory>     // std::make_unique
#include <vector>     // std::vector

#include "batch.h"
#include "settings.h"

namespace labelsmooth {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr Layout kLayouts[] = {Layout::rows, Layout::middle, Layout::strided, Layout::reversed,
                               Layout::padded};

// Every kind of row that tiles leave to the chunks.
void make_irregular(LossCase& c, int64_t row, int kind) {
  double* z = &c.logits[row * c.classes];
  switch (kind % 6) {
    case 0:
      z[row % c.classes] = kNan;
      break;
    case 1:
      z[row % c.classes] = kInf;
      break;
    case 2:
      std::fill_n(z, c.classes, -kInf);
      break;
    case 3:
      z[row % c.classes] = -kInf;
      break;
    case 4:
      z[c.labels[row]] = -kInf;
      break;
    default:  // finite, but the sum of z - max is not
      std::fill_n(z, c.classes, c.dtype == DType::f32 ? -3e38 : -6e4);
      z[0] = c.dtype == DType::f32 ? 3e38 : 6e4;
  }
}

TEST(Tiles, IrregularRowsAreTheReferenceAndLeaveTheirNeighboursAlone) {
  for (const DType dtype : kTypes) {
    for (const Layout layout : kLayouts) {
      for (const Write write : {Write::separate, Write::in_place, Write::accumulate}) {
        for (const int64_t classes : {2, 3, 10}) {
          LossCase c = base_case(classes, 11, 3, 67);  // more than one tile a span, the last one short
          c.dtype = dtype, c.layout = layout, c.write = write;
          for (int64_t row = 0; row < c.rows(); row += 7) c.labels[row] = -100;
          const Outcome plain = run(c);
          for (int64_t row = 3, kind = 0; row < c.rows(); row += 5) make_irregular(c, row, int(kind++));
          for_each_isa([&] {
            SCOPED_TRACE(testing::Message() << isa() << " " << name(dtype) << " layout " << int(layout)
                                            << " write " << int(write) << " classes " << classes);
            expect_reference(c);
          });
          const Outcome mixed = run(c);
          for (int64_t row = 0; row < c.rows(); ++row) {
            if (row % 5 == 3) continue;
            ASSERT_EQ(mixed.loss[row], plain.loss[row]) << row;
            for (int64_t k = row * classes; k < (row + 1) * classes; ++k)
              ASSERT_EQ(mixed.gradient[k], plain.gradient[k]) << row;
          }
          if (HasFailure()) return;
        }
      }
    }
  }
}

// NaN where a row does not count, or weighs nothing, is nowhere else, nor in its own gradient.
TEST(Tiles, RowsThatDoNotCountMayHoldAnything) {
  for (const DType dtype : kTypes) {
    LossCase c = base_case(10, 13, 150, 1);
    c.dtype = dtype;
    c.row_weights.assign(150, 1);
    for (int64_t row = 0; row < 150; row += 3) {
      row % 2 == 0 ? c.labels[row] = -100 : c.row_weights[row] = 0;
      for (int64_t k = 0; k < 10; ++k) c.logits[row * 10 + k] = k % 2 == 0 ? kNan : kInf;
    }
    for_each_isa([&] {
      const Outcome out = run(c);
      EXPECT_TRUE(std::isfinite(out.result.loss)) << isa();
      for (int64_t i = 0; i < 1500; ++i) {
        const double gradient = out.gradient[i];
        EXPECT_TRUE(i / 10 % 3 == 0 ? gradient == 0 : std::isfinite(gradient)) << isa() << i;
      }
    });
  }
}

// More rows than classes, so that what a label brings is looked up, in more than one block of labels.
TEST(Tiles, RowsThatGoByTheirLabel) {
  for (const int64_t classes : {2, 3, 20}) {
    LossCase plain = base_case(classes, 5, 700, 1);
    for (int64_t row = 0; row < 700; row += 9) plain.labels[row] = -100;
    for (const Weighting weighting : {Weighting::per_term, Weighting::label, Weighting::expected}) {
      for (int with = 1; with < 8; ++with) {  // class weights, amounts by class, an upstream of each row
        LossCase c = plain;
        c.options.weighting = weighting;
        for (int64_t k = 0; (with & 1) != 0 && k < classes; ++k) c.class_weights.push_back(0.5 * double(k));
        if ((with & 2) != 0) c.options.smoothing.amount = 0;
        for (int64_t k = 0; (with & 2) != 0 && k < classes; ++k)
          c.amount_by_class.push_back(0.3 / double(k + 1));
        for (int64_t row = 0; (with & 4) != 0 && row < 700; ++row)
          c.upstream_rows.push_back(1 - 0.003 * double(row));
        for (const Reduction reduction : {Reduction::mean, Reduction::none}) {
          if (reduction == Reduction::mean && !c.upstream_rows.empty()) continue;
          c.options.reduction = reduction;
          SCOPED_TRACE(testing::Message()
                       << classes << " classes, weighting " << int(weighting) << ", with " << with);
          expect_reference(c);
        }
      }
    }
  }
}

TEST(Tiles, BordersOfTilesAndOfWhatGoesByThem) {
  for (const int64_t classes : {2, 3, 4, 31, 32, 33, 127, 255, 256, 399, 400, 401}) {
    const int64_t width = tile_width(classes);
    for (const int64_t rows :
         {int64_t{1}, int64_t{7}, int64_t{8}, width - 1, width, width + 1, 2 * width + 17}) {
      LossCase c = base_case(classes, static_cast<uint64_t>(classes), rows, 1);
      for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
        c.dtype = dtype;
        SCOPED_TRACE(testing::Message() << rows << " x " << classes << " " << name(dtype));
        if (classes < 5) {  // fewer than a block of any instruction set, and the first that fills one
          for_each_isa([&] { expect_reference(c); });
        } else {
          expect_reference(c);
        }
        if (HasFailure()) return;
      }
    }
  }
  for (const int64_t classes : {4096, 4097}) {  // the most that scattered classes take by tiles
    LossCase c = base_case(classes, 17, 1, 19);
    c.layout = Layout::middle;
    for_each_isa([&] { expect_reference(c); });
  }
}

// One call, and the pipeline opened: the same bits of rows, on every layout, where classes are whole.
TEST(Tiles, PipelineHasTheRowsOfTheOneCall) {
  for (const Layout layout : kLayouts) {
    LossCase c = base_case(23, 19, 2, 150);
    c.layout = layout;
    c.class_weights.assign(23, 1);
    for (int64_t k = 0; k < 23; ++k) c.class_weights[k] = .5 + double(k % 4);
    make_irregular(c, 20, 0), make_irregular(c, 33, 3);
    const Outcome call = run(c);
    c.cuts = {0, 23};
    const Outcome opened = run(c);
    ASSERT_EQ(std::memcmp(call.loss.data(), opened.loss.data(), call.loss.size() * sizeof(double)), 0);
    ASSERT_EQ(
        std::memcmp(call.gradient.data(), opened.gradient.data(), call.gradient.size() * sizeof(double)), 0);
  }
}

// A tile holds rows of several spans: how long these are tells in no bit, nor does the pipeline.
TEST(Tiles, SpansOfAnyLength) {
  for (const int64_t inner : {1, 2, 3, 8, 97, 128, 300}) {
    for (const Write write : {Write::separate, Write::in_place}) {
      LossCase c = base_case(10, 23, 300 / inner + 1, inner);
      c.write = write;
      for (int64_t row = 0; row < c.rows(); row += 11) c.labels[row] = -100;
      const Outcome rows = run(c);
      c.layout = Layout::middle;
      const Outcome spans = run(c);
      c.cuts = {0, 10};
      const Outcome opened = run(c);
      for (const Outcome* other : {&spans, &opened}) {
        ASSERT_EQ(other->result.loss, rows.result.loss) << inner;
        ASSERT_EQ(other->loss, rows.loss) << inner;
        ASSERT_EQ(other->gradient, rows.gradient) << inner;
      }
    }
  }
}

// An axis of one class does not move, whatever its stride.
TEST(Tiles, OneClassOfAnyStride) {
  const std::vector<float> z(300, 2);
  std::vector<float> dz(300, 7);
  const std::vector<int64_t> labels(300, 0);
  for (const int64_t stride : {INT64_MIN, -(int64_t{1} << 60), int64_t{1} << 61, INT64_MAX}) {
    Logits logits(z.data(), 300, 1);
    Gradient dlogits(dz.data(), 300, 1);
    logits.class_stride = dlogits.class_stride = stride;
    EXPECT_EQ(cross_entropy(logits, labels, dlogits, {.smoothing = uniform(.1)}).loss, 0) << stride;
    EXPECT_EQ(dz, std::vector<float>(300, 0));
  }
}

// log(1 + tail) within 2 ulp from the least tail to one that no row can have.
TEST(Tiles, LogSumIsWithinTwoUlp) {
  std::vector<double> tails = {0, 1, std::sqrt(2.) - 1, std::sqrt(2.), 3};
  for (double tail = 1e-300; tail < 1e12; tail *= 1.37) tails.push_back(tail);
  for (double tail = .3; tail < .6; tail += .0007) tails.push_back(tail), tails.push_back(2 * tail + 1);
  const auto rows = std::make_unique<TileRows<double>>();
  for (const Kernels& kernels : usable_kernels()) {
    for (size_t i = 0; i < tails.size(); i += kTileRows) {
      const auto n = static_cast<int64_t>(std::min(tails.size() - i, size_t{kTileRows}));
      for (int64_t row = 0; row < kTileRows; ++row) {
        rows->tail[row] = row < n ? tails[i + row] : 0;
        rows->max[row] = rows->argmax[row] = rows->label[row] = rows->label_exp[row] = 0;
        rows->tail_z[row] = rows->prior_dot[row] = rows->label_dot[row] = rows->label_prior[row] = 0;
        rows->a[row] = rows->b[row] = rows->weight[row] = rows->factor[row] = 1;
      }
      EXPECT_TRUE(kernels.f64.tile.finish(n, 1, *rows));
      for (int64_t row = 0; row < n; ++row) {
        const auto truth = static_cast<double>(std::log1p(static_cast<long double>(rows->tail[row])));
        EXPECT_LE(std::abs(rows->log_sum[row] - truth), 2 * ulp<double>(truth))
            << kernels.isa << " " << rows->tail[row];
      }
    }
  }
}

}  // namespace
}  // namespace labelsmooth
