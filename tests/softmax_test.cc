// SPDX-License-Identifier: MIT
// The kernels of probabilities against long double, on every instruction set that this CPU has.
#include "softmax.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::max_element
#include <cmath>      // std::abs, std::exp, std::isinf, std::isnan, std::log1p, std::pow
#include <limits>     // std::numeric_limits
#include <random>     // std::mt19937
#include <string>     // std::string
#include <utility>    // std::pair
#include <vector>     // std::vector

#include "labelsmooth/isa.h"

namespace labelsmooth {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// About the lanes of every instruction set, and past a block of the max.
const std::vector<int64_t> kSizes = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 255, 257, 1000};

template <class Body>
void on_every_isa(const Body& body) {
  for (const std::string& name : usable_isas()) {
    SCOPED_TRACE(name);
    set_isa(name);
    body(softmax_kernels());
  }
  set_isa("");
}

template <class T>
const SoftmaxOf<T>& of(const SoftmaxKernels& kernels) {
  if constexpr (sizeof(T) == 4) {
    return kernels.f32;
  } else {
    return kernels.f64;
  }
}

template <class T>
std::vector<T> random_logits(int64_t size, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<T> normal(1000, 5);  // far from 0: z - max must be exact
  std::vector<T> z(size);
  for (T& one : z) one = normal(random);
  if (size > 3) z[size - 2] = -std::numeric_limits<T>::infinity();
  return z;
}

template <class T>
class Softmax : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Softmax, Types);

TYPED_TEST(Softmax, ExpsAndMomentsAreTheSums) {
  on_every_isa([](const SoftmaxKernels& kernels) {
    for (const int64_t n : kSizes) {
      for (const double scale : {1.0, 0.37, 3.0}) {
        const std::vector<TypeParam> z = random_logits<TypeParam>(n, static_cast<int>(n));
        const auto top = std::max_element(z.begin(), z.end()) - z.begin();
        std::vector<double> e(n + 1, -7);
        SoftmaxSums sums;
        of<TypeParam>(kernels).exps(z.data(), n, scale, e.data(), sums);
        SoftmaxMoments moments;
        of<TypeParam>(kernels).moments(z.data(), n, scale, moments);
        long double tail = 0, squares = 0, power[4] = {};
        for (int64_t k = 0; k < n; ++k) {
          const long double u = static_cast<long double>(scale) * (static_cast<long double>(z[k]) - z[top]);
          const long double value = std::exp(u);
          // u is rounded once; exp within 1.5 ulp.
          const double tolerance =
              (4 + std::abs(static_cast<double>(u))) * kEpsilon * static_cast<double>(value);
          if (std::isinf(u)) {
            EXPECT_EQ(e[k], 0);
            continue;
          }
          EXPECT_NEAR(e[k], static_cast<double>(value), tolerance);
          if (k != top) tail += value, squares += value * value;
          for (int m = 0; m < 4; ++m) power[m] += std::pow(u, m) * value;
        }
        for (int64_t k = 0; k < n; ++k) EXPECT_TRUE(k == top || sums.most_square >= e[k] * e[k]);
        EXPECT_LE(sums.most_square, (1 + n * kEpsilon) * sums.squares);
        EXPECT_EQ(e[n], -7) << "written past the end";
        EXPECT_EQ(sums.max, z[top]);
        EXPECT_EQ(sums.argmax, top);
        EXPECT_NEAR(sums.tail, static_cast<double>(tail), 64 * kEpsilon * static_cast<double>(tail));
        EXPECT_NEAR(sums.squares, static_cast<double>(squares), 64 * kEpsilon * static_cast<double>(squares));
        EXPECT_NEAR(sums.tail_u, static_cast<double>(power[1]),
                    64 * kEpsilon * std::abs(static_cast<double>(power[1])));
        EXPECT_EQ(moments.max, z[top]);
        for (const auto& [found, m] :
             {std::pair{moments.first, 1}, {moments.second, 2}, {moments.third, 3}}) {
          const auto expected = static_cast<double>(power[m] / power[0]);
          EXPECT_NEAR(found, expected, 64 * kEpsilon * std::abs(expected)) << m;
        }
      }
    }
  });
}

TYPED_TEST(Softmax, TiesGoToTheLowest) {
  on_every_isa([](const SoftmaxKernels& kernels) {
    for (const int64_t n : kSizes) {
      const std::vector<TypeParam> z(n, TypeParam{3});
      std::vector<double> e(n);
      SoftmaxSums sums;
      of<TypeParam>(kernels).exps(z.data(), n, 2, e.data(), sums);
      EXPECT_EQ(sums.argmax, 0);
      EXPECT_EQ(sums.tail, n - 1);
    }
  });
}

TYPED_TEST(Softmax, RowsWithoutOne) {
  constexpr TypeParam kInf = std::numeric_limits<TypeParam>::infinity(),
                      kNan = std::numeric_limits<TypeParam>::quiet_NaN();
  on_every_isa([=](const SoftmaxKernels& kernels) {
    for (const int64_t n : kSizes) {
      for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
        for (const TypeParam bad : {kInf, kNan}) {
          std::vector<TypeParam> z = random_logits<TypeParam>(n, 3);
          z[at] = bad;
          std::vector<double> e(n);
          SoftmaxSums sums;
          SoftmaxMoments moments;
          of<TypeParam>(kernels).exps(z.data(), n, 1, e.data(), sums);
          of<TypeParam>(kernels).moments(z.data(), n, 1, moments);
          EXPECT_TRUE(std::isnan(sums.max) && sums.argmax == -1) << n << " " << at;
          EXPECT_TRUE(std::isnan(moments.max)) << n << " " << at;
        }
      }
      const std::vector<TypeParam> none(n, -kInf);
      std::vector<double> e(n);
      SoftmaxSums sums;
      of<TypeParam>(kernels).exps(none.data(), n, 1, e.data(), sums);
      EXPECT_TRUE(std::isnan(sums.max));
    }
  });
}

TEST(SoftmaxKernels, AddAndAtLeast) {
  on_every_isa([](const SoftmaxKernels& kernels) {
    for (const int64_t n : kSizes) {
      std::vector<double> x(n), sums(n, 1), expected(n, 1);
      std::vector<int64_t> large, found(n);
      for (int64_t k = 0; k < n; ++k) {
        x[k] = static_cast<double>(k * 7 % 10);
        expected[k] += x[k] / 2 + x[k] * 4;
        if (x[k] / 2 >= 2.5) large.push_back(k);  // the limit itself is among them
      }
      kernels.add(x.data(), 0.5, x.data(), 4, n, sums.data());
      EXPECT_EQ(sums, expected);
      found.resize(kernels.at_least(x.data(), n, 0.5, 2.5, found.data()));
      EXPECT_EQ(found, large);
    }
  });
}

TEST(SoftmaxKernels, Log1p) {
  on_every_isa([](const SoftmaxKernels& kernels) {
    for (const int64_t n : kSizes) {
      std::vector<double> x(n);
      for (int64_t i = 0; i < n; ++i) x[i] = std::pow(10.0, static_cast<double>(i * 37 % 600 - 300));
      x[0] = 0;
      if (n > 1) x[1] = std::numeric_limits<double>::quiet_NaN();
      if (n > 2) x[2] = 0x1p1000;
      const std::vector<double> before = x;
      kernels.log1p(x.data(), n);
      for (int64_t i = 0; i < n; ++i) {
        const auto truth = static_cast<double>(std::log1p(static_cast<long double>(before[i])));
        EXPECT_TRUE(i == 1 ? std::isnan(x[i]) : std::abs(x[i] - truth) <= 2 * kEpsilon * truth) << before[i];
      }
    }
  });
}

}  // namespace
}  // namespace labelsmooth
