// SPDX-License-Identifier: MIT
// f16 and bf16 to f32 and back, rounded to nearest, ties to even. Integer arithmetic, so that flushed
// denormals change nothing, and without branches, so that compilers vectorise loops of it.
#pragma once

#include <bit>      // std::bit_cast
#include <cstdint>  // uint16_t, uint32_t

#include "labelsmooth/tensor.h"

namespace labelsmooth {

inline float widen(bf16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }

inline float widen(f16 x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16, magnitude = x.bits & 0x7fffu;
  const uint32_t normal = (magnitude << 13) + (112u << 23);  // the exponent's bias grows from 15 to 127
  const uint32_t special = (magnitude << 13) | 0x7f800000u;
  const auto subnormal =
      std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  const uint32_t bits = magnitude >= 0x7c00 ? special : magnitude < 0x400 ? subnormal : normal;
  return std::bit_cast<float>(sign | bits);
}

inline void narrow(float x, bf16& half) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  const uint32_t quiet = bits | 0x400000;
  half.bits = static_cast<uint16_t>(((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) >> 16);
}

inline void narrow(float x, f16& half) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint32_t special = magnitude > 0x7f800000u ? 0x7e00 : 0x7c00;
  // Below 2^-14: adding 1/2 leaves the rounded subnormal in the low bits.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  const uint32_t value = magnitude >= 0x47800000u ? special : magnitude < 0x38800000u ? subnormal : normal;
  half.bits = static_cast<uint16_t>((bits >> 16 & 0x8000u) | value);
}

}  // namespace labelsmooth
