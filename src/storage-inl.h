// SPDX-License-Identifier: MIT
// Vectors of f32 or f64 from elements as they lie in memory, and back, rounded to nearest, ties to even.

#if defined(LABELSMOOTH_STORAGE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_STORAGE_INL_H
#undef LABELSMOOTH_STORAGE_INL_H
#else
#define LABELSMOOTH_STORAGE_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>    // std::copy_n
#include <type_traits>  // std::is_same_v

#include "storage.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Where the CPU converts f16 itself.
constexpr bool kHasF16 = HWY_TARGET <= HWY_AVX2;

template <class D, class S>
HWY_INLINE hn::Vec<D> LoadAs(D d, const S* from) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<S, T>) {
    return hn::LoadU(d, from);
  } else if constexpr (std::is_same_v<S, bf16> && HWY_TARGET != HWY_SCALAR) {
    const hn::RebindToUnsigned<D> du;
    const hn::Rebind<uint16_t, D> du16;
    const auto bits = hn::LoadU(du16, reinterpret_cast<const uint16_t*>(from));
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
  } else if constexpr (std::is_same_v<S, f16> && kHasF16) {
    const hn::Rebind<hwy::float16_t, D> half;
    return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
  } else {
    HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
    for (size_t i = 0; i < hn::Lanes(d); ++i) values[i] = load<T>(from[i]);
    return hn::Load(d, values);
  }
}

template <class D, class S>
HWY_INLINE void StoreAs(hn::Vec<D> x, D d, S* to) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<S, T>) {
    hn::StoreU(x, d, to);
  } else if constexpr (std::is_same_v<S, bf16> && HWY_TARGET != HWY_SCALAR) {
    const hn::RebindToUnsigned<D> du;
    const hn::RebindToSigned<D> di;
    const hn::Rebind<uint16_t, D> du16;
    const auto bits = hn::BitCast(du, x);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
    const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
    const auto is_nan = hn::RebindMask(du, hn::IsNaN(x));
    const auto high = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet, rounded));
    hn::StoreU(hn::DemoteTo(du16, hn::BitCast(di, high)), du16, reinterpret_cast<uint16_t*>(to));
  } else if constexpr (std::is_same_v<S, f16> && kHasF16) {
    const hn::Rebind<hwy::float16_t, D> half;
    hn::StoreU(hn::DemoteTo(half, x), half, reinterpret_cast<hwy::float16_t*>(to));
  } else {
    HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(x, d, values);
    for (size_t i = 0; i < hn::Lanes(d); ++i) store(values[i], to[i]);
  }
}

// Up to a vector of values, the rest `filler`: no read past the end, whatever the instruction set.
template <class D, class S, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadPart(D d, const S* from, int64_t count, T filler) {
  HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(hn::Set(d, filler), d, values);
  for (int64_t i = 0; i < count; ++i) values[i] = load<T>(from[i]);
  return hn::Load(d, values);
}
template <class D, class S, class T = hn::TFromD<D>>
HWY_INLINE void StorePart(hn::Vec<D> x, D d, S* to, int64_t count) {
  HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(x, d, values);
  for (int64_t i = 0; i < count; ++i) store(values[i], to[i]);
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
