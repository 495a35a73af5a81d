// SPDX-License-Identifier: MIT
// Vectors of f32 or f64 from elements as they lie in memory, and back, rounded to nearest, ties to even.

#if defined(LABELSMOOTH_STORAGE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef LABELSMOOTH_STORAGE_INL_H
#undef LABELSMOOTH_STORAGE_INL_H
#else
#define LABELSMOOTH_STORAGE_INL_H
#endif

#include <hwy/highway.h>

#include <type_traits>  // std::is_same_v

#include "storage.h"

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Where the CPU converts f16 itself.
constexpr bool kHasF16 = HWY_TARGET <= HWY_AVX2;

// Whether vectors of S are made by instructions.
template <class S>
constexpr bool kHasVectors = HWY_TARGET != HWY_SCALAR && (!std::is_same_v<S, f16> || kHasF16);

#if HWY_TARGET != HWY_SCALAR
// f32 from the bits of halves, and back.
template <class S, class D>
HWY_INLINE hn::Vec<D> Promote(D d, hn::Vec<hn::Rebind<uint16_t, D>> bits) {
  if constexpr (std::is_same_v<S, bf16>) {
    return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<D>(), bits)));
  } else {
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), bits));
  }
}
template <class S, class D>
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, D>> Demote([[maybe_unused]] D d, hn::Vec<D> x) {
  const hn::Rebind<uint16_t, D> du16;
  if constexpr (std::is_same_v<S, bf16>) {
    const hn::RebindToUnsigned<D> du;
    const auto bits = hn::BitCast(du, x);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
    const auto quiet = hn::Or(bits, hn::Set(du, 0x400000));
    const auto high = hn::ShiftRight<16>(hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(x)), quiet, rounded));
    return hn::DemoteTo(du16, hn::BitCast(hn::RebindToSigned<D>(), high));
  } else {
    return hn::BitCast(du16, hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), x));
  }
}
#endif

template <class D, class S>
HWY_INLINE hn::Vec<D> LoadAs(D d, const S* from) {
  using T = hn::TFromD<D>;
  if constexpr (std::is_same_v<S, T>) {
    return hn::LoadU(d, from);
  } else {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (kHasVectors<S>)
      return Promote<S>(d, hn::LoadU(hn::Rebind<uint16_t, D>(), reinterpret_cast<const uint16_t*>(from)));
#endif
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
  } else {
#if HWY_TARGET != HWY_SCALAR
    if constexpr (kHasVectors<S>)
      return hn::StoreU(Demote<S>(d, x), hn::Rebind<uint16_t, D>(), reinterpret_cast<uint16_t*>(to));
#endif
    HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(x, d, values);
    for (size_t i = 0; i < hn::Lanes(d); ++i) store(values[i], to[i]);
  }
}

// Up to a vector of values, the rest `filler`: no read past the end, whatever the instruction set.
// Not inlined: a row has few.
template <class D, class S, class T = hn::TFromD<D>>
HWY_NOINLINE hn::Vec<D> LoadPart(D d, const S* from, int64_t count, T filler) {
#if HWY_TARGET <= HWY_AVX3
  const auto present = hn::FirstN(d, static_cast<size_t>(count));
  if constexpr (std::is_same_v<S, T>) {
    return hn::IfThenElse(present, hn::MaskedLoad(present, d, from), hn::Set(d, filler));
  } else {
    const hn::Rebind<uint16_t, D> du16;
    const auto bits = hn::MaskedLoad(hn::FirstN(du16, static_cast<size_t>(count)), du16,
                                     reinterpret_cast<const uint16_t*>(from));
    return hn::IfThenElse(present, Promote<S>(d, bits), hn::Set(d, filler));
  }
#else
  HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(hn::Set(d, filler), d, values);
  for (int64_t i = 0; i < count; ++i) values[i] = load<T>(from[i]);
  return hn::Load(d, values);
#endif
}
template <class D, class S, class T = hn::TFromD<D>>
HWY_NOINLINE void StorePart(hn::Vec<D> x, D d, S* to, int64_t count) {
#if HWY_TARGET <= HWY_AVX3
  if constexpr (std::is_same_v<S, T>) {
    return hn::BlendedStore(x, hn::FirstN(d, static_cast<size_t>(count)), d, to);
  } else {
    const hn::Rebind<uint16_t, D> du16;
    return hn::BlendedStore(Demote<S>(d, x), hn::FirstN(du16, static_cast<size_t>(count)), du16,
                            reinterpret_cast<uint16_t*>(to));
  }
#else
  HWY_ALIGN T values[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(x, d, values);
  for (int64_t i = 0; i < count; ++i) store(values[i], to[i]);
#endif
}

}  // namespace labelsmooth::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
