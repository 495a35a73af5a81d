// SPDX-License-Identifier: MIT
#include "half.h"

#include <gtest/gtest.h>

#include <cmath>   // std::ldexp, std::isnan
#include <limits>  // std::numeric_limits
#include <random>  // std::mt19937

namespace labelsmooth {
namespace {

// By the formats' definitions, in double: sign, exponent, mantissa.
double value_of(uint16_t bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7fff) >> mantissa_bits, mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa == 0 ? sign * INFINITY : NAN;
  const int leading = exponent == 0 ? 0 : 1 << mantissa_bits;
  return sign * std::ldexp(leading + mantissa, std::max(exponent, 1) - bias - mantissa_bits);
}

template <class Half>
constexpr int kMantissaBits = std::is_same_v<Half, f16> ? 10 : 7;

template <class Half>
class HalfTest : public testing::Test {};
using Halves = testing::Types<f16, bf16>;
TYPED_TEST_SUITE(HalfTest, Halves);

TYPED_TEST(HalfTest, EveryValueWidensExactlyAndComesBack) {
  for (int bits = 0; bits < 1 << 16; ++bits) {
    const TypeParam half = {static_cast<uint16_t>(bits)};
    const double expected = value_of(half.bits, kMantissaBits<TypeParam>);
    TypeParam back;
    narrow(widen(half), back);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(widen(half))) << bits;
      ASSERT_TRUE(std::isnan(widen(back))) << bits;
    } else {
      ASSERT_EQ(widen(half), expected) << bits;
      ASSERT_EQ(back.bits, bits);
    }
  }
}

// Between two neighbours the nearer one, at the middle the even one; past the largest, infinity.
TYPED_TEST(HalfTest, NarrowsToTheNearest) {
  constexpr int kBits = kMantissaBits<TypeParam>;
  const int infinity = 0x7fff >> kBits << kBits;
  for (int bits = 0; bits < infinity; ++bits) {
    const double low = value_of(static_cast<uint16_t>(bits), kBits);
    const double step = bits + 1 == infinity ? low - value_of(static_cast<uint16_t>(bits - 1), kBits)
                                             : value_of(static_cast<uint16_t>(bits + 1), kBits) - low;
    const auto middle = static_cast<float>(low + step / 2);
    const auto narrowed = [](float x) {
      TypeParam half;
      narrow(x, half);
      return half.bits;
    };
    ASSERT_EQ(narrowed(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(narrowed(std::nextafter(middle, 0.0f)), bits) << bits;
    ASSERT_EQ(narrowed(std::nextafter(middle, INFINITY)), bits + 1) << bits;
    ASSERT_EQ(narrowed(-middle), 0x8000 | (bits % 2 == 0 ? bits : bits + 1)) << bits;
  }
  TypeParam half;
  narrow(std::numeric_limits<float>::max(), half);
  EXPECT_EQ(half.bits, infinity);
  narrow(-INFINITY, half);
  EXPECT_EQ(half.bits, 0x8000 | infinity);
}

}  // namespace
}  // namespace labelsmooth
