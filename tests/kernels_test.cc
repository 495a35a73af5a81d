// SPDX-License-Identifier: MIT
// The kernels on their own: exp over its whole range, lengths around the lane count, alignment.
#include "kernels.h"

#include <gtest/gtest.h>
#include <sys/mman.h>  // mmap, mprotect, munmap

#include <algorithm>  // std::fill_n
#include <cmath>      // std::exp, std::nextafter
#include <numeric>    // std::accumulate
#include <random>     // std::mt19937
#include <vector>     // std::vector

#include "batch.h"
#include "storage.h"

namespace labelsmooth {
namespace {

// exp(x) through the gradient kernel, whose other terms are switched off.
template <class T>
std::vector<T> exp_of(const Kernels& kernels, const std::vector<T>& x) {
  std::vector<T> e(x.size());
  kernels.of<T>().of_type.gradient(x.data(), static_cast<int64_t>(x.size()), 0, {1, 0, 0}, nullptr, e.data());
  return e;
}

template <class T>
void expect_exp_within(double ulps, double least) {
  std::vector<T> x = {T{0}, -std::numeric_limits<T>::denorm_min(), T(-1e-30)};
  for (int i = 0; i <= 200000; ++i) x.push_back(static_cast<T>(least * i / 200000));
  for (const Kernels& kernels : usable_kernels()) {
    const auto e = exp_of(kernels, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const long double truth = std::exp(static_cast<long double>(x[i]));
      worst = std::max(worst, double(std::abs(e[i] - truth)) / ulp<T>(double(truth)));
    }
    EXPECT_LE(worst, ulps) << kernels.isa;
    EXPECT_EQ(e[0], 1) << kernels.isa;
  }
}

TEST(Exp, WithinOneAndAHalfUlp) {
  expect_exp_within<float>(1.5, -87);
  expect_exp_within<double>(1.5, -708);
}

TEST(Exp, VanishesBelowAndKeepsNan) {
  for (const Kernels& kernels : usable_kernels()) {
    const auto e = exp_of<float>(kernels, {-87.01f, -88, -104, -1e30f, -std::numeric_limits<float>::max(),
                                           static_cast<float>(-kInf), std::nanf("")});
    for (int i = 0; i < 6; ++i) EXPECT_EQ(e[i], 0) << kernels.isa << i;
    EXPECT_TRUE(std::isnan(e[6])) << kernels.isa;
    const auto d = exp_of<double>(kernels, {-708.01, -1e300, -kInf, std::nan("")});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(d[i], 0) << kernels.isa << i;
    EXPECT_TRUE(std::isnan(d[3])) << kernels.isa;
  }
}

// Bits must not depend on where the row starts, or a batch would change its rows.
template <class T>
void expect_alignment_does_not_matter(int64_t n) {
  const Batch<T> batch(1, n, n);
  for (const Kernels& kernels : usable_kernels()) {
    ChunkSums first;
    std::vector<T> first_dz(n);
    for (int shift = 0; shift < 5; ++shift) {
      std::vector<T> z(n + 8), v(n + 8), dz(n + 8);
      for (int64_t k = 0; k < n; ++k) z[shift + k] = batch.z[k], v[shift + k] = T(k % 3) / 2;
      const double mass = std::accumulate(v.begin(), v.end(), 0.0);
      ChunkSums sums;
      kernels.of<T>().of_type.summarize(&z[shift], n, PriorSum::weighted, {&v[shift], mass}, true, nullptr,
                                        nullptr, sums);
      kernels.of<T>().of_type.gradient(&z[shift], n, sums.max, {.5, 0, .25}, &v[shift], &dz[shift]);
      if (shift == 0) {
        first = sums;
        first_dz.assign(dz.begin(), dz.begin() + n);
      }
      EXPECT_EQ(sums.tail, first.tail) << kernels.isa << " n " << n << " shift " << shift;
      EXPECT_EQ(sums.tail_z, first.tail_z);
      EXPECT_EQ(sums.prior_dot, first.prior_dot);
      for (int64_t k = 0; k < n; ++k) ASSERT_EQ(dz[shift + k], first_dz[k]);
      EXPECT_EQ(dz[shift + n], 0) << "written past the end";
    }
  }
}

TEST(Kernels, AlignmentDoesNotMatter) {
  for (const int64_t n : {1, 3, 15, 16, 17, 33, 511, 513, 1025}) {
    expect_alignment_does_not_matter<float>(n);
    expect_alignment_does_not_matter<double>(n);
  }
}

// Rows that end where their memory does: sanitizers, whose builds have few instruction sets, do not see a
// vector that reads past it.
template <class T, class S>
void expect_nothing_past_the_end(const ChunkKernels<T>& kernels, char* end) {
  for (const int64_t n : {1, 2, 7, 9, 15, 17, 31, 33, 63, 250, 401}) {
    const auto bytes = n * static_cast<int64_t>(sizeof(S));
    S* z = reinterpret_cast<S*>(end - bytes);
    std::fill_n(end - bytes, bytes, 0);
    ChunkSums sums;
    kernels.summarize(z, n, PriorSum::plain, {nullptr, double(n)}, false, nullptr, nullptr, sums);
    EXPECT_EQ(sums.tail, double(n - 1));
    kernels.gradient(z, n, 0, {.5, 0, 0}, nullptr, z);
    EXPECT_EQ(load<T>(z[n - 1]), .5);
  }
}
TEST(Kernels, NothingPastTheEnd) {
  constexpr size_t kSize = 1 << 16;  // a multiple of any page
  void* memory = mmap(nullptr, 2 * kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  char* end = static_cast<char*>(memory) + kSize;
  ASSERT_EQ(mprotect(end, kSize, PROT_NONE), 0);
  for (const Kernels& kernels : usable_kernels()) {
    SCOPED_TRACE(kernels.isa);
    expect_nothing_past_the_end<float, float>(kernels.f32.of_type, end);
    expect_nothing_past_the_end<float, f16>(kernels.f32.of_f16, end);
    expect_nothing_past_the_end<float, bf16>(kernels.f32.of_bf16, end);
    expect_nothing_past_the_end<double, double>(kernels.f64.of_type, end);
  }
  munmap(memory, 2 * kSize);
}

// The argmax at every place, so that every lane, block border and tail is once the hole.
template <class T>
void expect_argmax_everywhere(int64_t n) {
  Batch<T> batch(1, n, n);
  for (const Kernels& kernels : usable_kernels()) {
    for (int64_t at = 0; at < n; ++at) {
      const T before = batch.z[at];
      batch.z[at] = 70;  // far above: a hole off by one would leave a 1 in the tail
      ChunkSums sums;
      kernels.of<T>().of_type.summarize(batch.z.data(), n, PriorSum::plain, {nullptr, double(n)}, true,
                                        nullptr, nullptr, sums);
      long double tail = 0, dot = 0;
      for (int64_t k = 0; k < n; ++k) {
        if (k != at) tail += std::exp(static_cast<long double>(batch.z[k]) - 70);
        dot += static_cast<long double>(batch.z[k]) - 70;
      }
      ASSERT_EQ(sums.argmax, at) << kernels.isa << " n " << n;
      ASSERT_NEAR(sums.tail, double(tail), 1e-5 * double(tail)) << kernels.isa << " n " << n << " at " << at;
      ASSERT_NEAR(sums.prior_dot, double(dot), 1e-6 * std::abs(double(dot)));
      batch.z[at] = before;
    }
  }
}

TEST(Kernels, ArgmaxEverywhere) {
  for (const int64_t n : {1, 2, 4, 5, 16, 31, 48, 1100}) {
    expect_argmax_everywhere<float>(n);
    expect_argmax_everywhere<double>(n);
  }
}

TEST(Kernels, NanAnywhereIsFound) {
  for (const Kernels& kernels : usable_kernels()) {
    for (const int64_t n : {1, 7, 16, 40, 600}) {
      for (int64_t at = 0; at < n; ++at) {
        Batch<float> batch(1, n, 3);
        batch.z[at] = std::nanf("");
        if (at + 1 < n) batch.z[n - 1] = std::nanf("");
        ChunkSums sums;
        kernels.f32.of_type.summarize(batch.z.data(), n, PriorSum::none, {nullptr, double(n)}, false, nullptr,
                                      nullptr, sums);
        ASSERT_TRUE(std::isnan(sums.max) && std::isnan(sums.tail))
            << kernels.isa << " n " << n << " at " << at;
        ASSERT_EQ(sums.argmax, at);
      }
    }
  }
}

TEST(Kernels, InfinitiesHaveTheirMeaning) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const Kernels& kernels : usable_kernels()) {
    for (const int64_t n : {2, 17, 40}) {
      std::vector<float> z(n, -inf);
      ChunkSums sums;
      kernels.f32.of_type.summarize(z.data(), n, PriorSum::plain, {nullptr, double(n)}, true, nullptr,
                                    nullptr, sums);
      EXPECT_EQ(sums.max, -inf);
      EXPECT_EQ(sums.tail, double(n - 1)) << "z - max is 0 where z equals max";
      EXPECT_EQ(sums.prior_dot, 0);
      EXPECT_EQ(sums.argmax, 0);
      z[n - 1] = 5;
      kernels.f32.of_type.summarize(z.data(), n, PriorSum::plain, {nullptr, double(n)}, true, nullptr,
                                    nullptr, sums);
      EXPECT_EQ(sums.max, 5);
      EXPECT_EQ(sums.tail, 0);
      EXPECT_EQ(sums.tail_z, 0);
      EXPECT_EQ(sums.prior_dot, -inf);
      const std::vector<float> only_last = [n] {
        std::vector<float> v(n);
        v[n - 1] = 1;
        return v;
      }();
      kernels.f32.of_type.summarize(z.data(), n, PriorSum::weighted, {only_last.data(), 1}, true, nullptr,
                                    nullptr, sums);
      EXPECT_EQ(sums.prior_dot, 0) << "no weight, no term, even at -inf";
      z[0] = inf;
      kernels.f32.of_type.summarize(z.data(), n, PriorSum::plain, {nullptr, double(n)}, true, nullptr,
                                    nullptr, sums);
      EXPECT_EQ(sums.max, inf);
      EXPECT_EQ(sums.argmax, 0);
    }
  }
}

}  // namespace
}  // namespace labelsmooth
