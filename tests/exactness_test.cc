// SPDX-License-Identifier: MIT
// The error bounds of cross_entropy.h and docs/math.md as they stand there, on every instruction set. (The
// other tests compare within the same bounds plus what their options add.)
#include <gtest/gtest.h>

#include <algorithm>  // std::max
#include <cmath>      // std::abs, std::exp
#include <vector>     // std::vector

#include "batch.h"
#include "settings.h"

namespace labelsmooth {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};

// Calls body(case, outcome, truth) for rows from flat to steep, on every instruction set.
template <class Body>
void for_each_case(DType dtype, const Smoothing& smoothing, const Body& body) {
  for (const int64_t classes : {2, 5, 37, 1000, 5000}) {
    for (const double spread : {.01, .5, 1., 4., 15.}) {
      LossCase c = base_case(classes, static_cast<uint64_t>(classes), 2, 1);
      c.dtype = dtype;
      c.options = {.smoothing = smoothing, .reduction = Reduction::sum};
      for (double& z : c.logits) z *= spread;
      const reference::Total truth = reference_of(c);
      for_each_isa([&] {
        SCOPED_TRACE(testing::Message()
                     << name(dtype) << " " << isa() << " classes " << classes << " spread " << spread);
        body(c, run(c), truth);
      });
    }
  }
}

TEST(Exact, LossIsWithinTwoUlpOfF32) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Smoothing& smoothing : {uniform(0), uniform(.1), uniform(1), others(.1)}) {
      for_each_case(dtype, smoothing,
                    [](const LossCase& c, const Outcome& out, const reference::Total& truth) {
                      for (int64_t r = 0; r < c.rows(); ++r) {
                        const double loss = static_cast<double>(truth.rows[r].loss);
                        EXPECT_NEAR(out.loss[r], loss, 2 * spacing(DType::f32, std::max(1., loss)));
                      }
                    });
    }
  }
}

// p and q of the element; x = max - z.
template <class Body>
void for_each_element(DType dtype, const Body& body) {
  for (const Smoothing& smoothing : {uniform(0), uniform(.1), others(.1), flip(.1), additive(.1)}) {
    for_each_case(dtype, smoothing,
                  [&](const LossCase& c, const Outcome& out, const reference::Total& truth) {
                    for (int64_t r = 0; r < c.rows(); ++r) {
                      const reference::Truth& row = truth.rows[r];
                      double mass = 0;
                      for (const reference::Real q : row.weighted_target) mass += static_cast<double>(q);
                      for (int64_t k = 0; k < c.classes; ++k) {
                        const double x = static_cast<double>(row.z[row.argmax] - row.z[k]);
                        body(out.gradient[r * c.classes + k], row.gradient[k], mass,
                             std::exp(static_cast<double>(row.log_probability[k])),
                             static_cast<double>(row.weighted_target[k]), x, c.classes);
                      }
                    }
                  });
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Exact, GradientIsRelativeToPAndQ) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const double eps = spacing(dtype, 1), least = dtype == DType::f32 ? 0x1p-126 : 0x1p-1022;
    for_each_element(dtype, [&](double dz, reference::Real truth, double mass, double p, double q, double x,
                                int64_t classes) {
      const double walk = dtype == DType::f64 ? std::sqrt(static_cast<double>(classes)) / 8 : 0;
      ASSERT_LE(std::abs(static_cast<double>(dz - truth)),
                eps * ((4 + walk + x / 2) * mass * p + 4 * q) + (1 + mass) * least)
          << "p " << p << " q " << q << " x " << x;
    });
  }
}

// Halves are the f32 gradient rounded once, and their z - max is exact: no x / 2.
TEST(Exact, GradientOfHalvesIsRoundedOnce) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for_each_element(
        dtype, [&](double dz, reference::Real truth, double mass, double p, double q, double x, int64_t) {
          ASSERT_LE(std::abs(static_cast<double>(dz - truth)),
                    .5 * spacing(dtype, static_cast<double>(truth)) + 0x1p-20 * (mass * p + q) +
                        (1 + mass) * 0x1p-126)
              << "p " << p << " q " << q << " x " << x;
        });
  }
}

// The largest of many equal classes: its p must not come out of 1 - tail / (1 + tail), nor its mass of the
// whole.
TEST(Exact, DenseGradientOfFlatRows) {
  for (const DType dtype : kTypes) {
    LossCase c = base_case(1000, 3, 2, 1);
    c.dtype = dtype, c.kind = Target::Kind::dense, c.options = {.reduction = Reduction::sum};
    for (int64_t i = 0; i < 2000; ++i) c.logits[i] /= 128, c.dense[i] = i % 1000 == 7 ? 20 : 0;
    for_each_isa([&] { expect_reference(c); });
  }
}

// What a call adds, however small beside what is there, is rounded once more.
TEST(Exact, AccumulatingRoundsTheSumOnce) {
  for (const DType dtype : kTypes) {
    LossCase c = base_case(37, 3);
    c.dtype = dtype;
    const Outcome plain = run(c);
    c.write = Write::accumulate;
    const Outcome sum = run(c);
    const reference::Total truth = reference_of(c);
    for (int64_t i = 0; i < c.rows() * c.classes; ++i) {
      const double old = before(i),
                   total = old + static_cast<double>(truth.gradient[i / c.classes][i % c.classes]);
      EXPECT_NEAR(old + sum.gradient[i], total,
                  .5 * spacing(dtype, total) +
                      4 * spacing(dtype == DType::f64 ? dtype : DType::f32, std::abs(total) + .1));
    }
    EXPECT_NE(plain.bytes, sum.bytes);
  }
}

// ---- Confident rows ----

// Losses from 1 to 1e-30 keep five digits, and so do both sides of the gradient: the label's own is p - 1.
TEST(Confident, LossAndGradientKeepTheirDigits) {
  for_each_isa([] {
    for (const DType dtype : kTypes) {
      for (const int64_t classes : {2, 40, 600, 33000}) {
        for (const double gap : {1., 8., 18., 40., 68.}) {
          for (const Target::Kind kind : {Target::Kind::labels, Target::Kind::mixed, Target::Kind::dense}) {
            if (classes > 600 && kind == Target::Kind::mixed) continue;
            LossCase c = base_case(classes, 7, 1, 1);
            c.dtype = dtype, c.kind = kind, c.options = {.reduction = Reduction::sum};
            for (double& z : c.logits) z = std::round(z);
            const int64_t label = c.labels[0] = c.second[0] = classes - 2;
            c.dense.assign(classes, 0), c.dense[label] = 1;
            double largest = -kInf;
            for (const double z : c.logits) largest = std::max(largest, z);
            c.logits[label] = largest + gap;
            const Outcome out = run(c);
            const reference::Total truth = reference_of(c);
            const auto relative = [](double value, reference::Real expected) {
              EXPECT_NEAR(value, static_cast<double>(expected),
                          1e-5 * std::abs(static_cast<double>(expected)));
            };
            SCOPED_TRACE(testing::Message() << isa() << " " << name(dtype) << " " << classes << " gap " << gap
                                            << " kind " << int(kind));
            relative(out.loss[0], truth.rows[0].loss);
            if (dtype == DType::f16 || dtype == DType::bf16) continue;
            relative(out.gradient[label], truth.gradient[0][label]);
          }
        }
      }
    }
  });
}

// A large vocabulary whose label leads by 10: the label's gradient is its f32 value, rounded once.
TEST(Confident, TrueClassOfHalves) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const double amount : {0., .1}) {
      LossCase c = base_case(4096, 9, 8, 1);
      c.dtype = dtype, c.options = {.smoothing = uniform(amount), .reduction = Reduction::sum};
      for (int64_t r = 0; r < c.rows(); ++r) {
        double& own = c.logits[r * c.classes + c.labels[r]];
        for (int64_t k = 0; k < c.classes; ++k) own = std::max(own, c.logits[r * c.classes + k]);
        own += 10;
      }
      const Outcome out = run(c);
      const reference::Total truth = reference_of(c);
      for (int64_t r = 0; r < c.rows(); ++r) {
        const double expected = static_cast<double>(truth.gradient[r][c.labels[r]]);
        EXPECT_NEAR(out.gradient[r * c.classes + c.labels[r]], expected,
                    .5001 * spacing(dtype, expected) + 1e-5 * std::abs(expected));
      }
    }
  }
}

}  // namespace
}  // namespace labelsmooth
