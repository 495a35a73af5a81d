// SPDX-License-Identifier: MIT
#include "bandwidth.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bandwidth.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // must precede highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace labelsmooth::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Every loop works on four vectors at a time: `words` is a multiple of what they hold.
template <bool kStreaming>
HWY_INLINE void CopyLoop(const uint32_t* HWY_RESTRICT from, uint32_t* HWY_RESTRICT to, int64_t words) {
  const hn::ScalableTag<uint32_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < words; i += 4 * lanes) {
    const auto a = hn::Load(d, from + i), b = hn::Load(d, from + i + lanes);
    const auto e = hn::Load(d, from + i + 2 * lanes), f = hn::Load(d, from + i + 3 * lanes);
    if constexpr (kStreaming) {
      hn::Stream(a, d, to + i), hn::Stream(b, d, to + i + lanes);
      hn::Stream(e, d, to + i + 2 * lanes), hn::Stream(f, d, to + i + 3 * lanes);
    } else {
      hn::Store(a, d, to + i), hn::Store(b, d, to + i + lanes);
      hn::Store(e, d, to + i + 2 * lanes), hn::Store(f, d, to + i + 3 * lanes);
    }
  }
  if constexpr (kStreaming) hwy::FlushStream();
}

void Streaming(const uint32_t* from, uint32_t* to, int64_t words) { CopyLoop<true>(from, to, words); }
void Plain(const uint32_t* from, uint32_t* to, int64_t words) { CopyLoop<false>(from, to, words); }

uint32_t Sum(const uint32_t* from, int64_t words) {
  const hn::ScalableTag<uint32_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto a = hn::Zero(d), b = a, e = a, f = a;
  for (int64_t i = 0; i < words; i += 4 * lanes) {
    a = hn::Add(a, hn::Load(d, from + i)), b = hn::Add(b, hn::Load(d, from + i + lanes));
    e = hn::Add(e, hn::Load(d, from + i + 2 * lanes)), f = hn::Add(f, hn::Load(d, from + i + 3 * lanes));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(a, b), hn::Add(e, f))));
}

}  // namespace labelsmooth::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <algorithm>  // std::min
#include <atomic>     // std::atomic
#include <cstring>    // std::memcpy

#include "parallel.h"

namespace labelsmooth::bench {
namespace {

HWY_EXPORT(Streaming);
HWY_EXPORT(Plain);
HWY_EXPORT(Sum);

// A multiple of four of any CPU's vectors. What is left past the last page, at most 1 %, is not moved.
constexpr int64_t kPage = 4096;

// body(offset, bytes) for each thread's share.
template <class Body>
void for_each_share(int64_t bytes, const Body& body) {
  parallel_for(bytes / kPage, bytes / 4,
               [&](int64_t begin, int64_t end) { body(begin * kPage, (end - begin) * kPage); });
}

template <class To, class Memory>
To* at(Memory* memory, int64_t offset) {
  return reinterpret_cast<To*>(reinterpret_cast<uintptr_t>(memory) + static_cast<uintptr_t>(offset));
}

}  // namespace

void copy_by_memcpy(const void* from, void* to, int64_t bytes) {
  for_each_share(bytes, [&](int64_t offset, int64_t share) {
    std::memcpy(at<char>(to, offset), at<const char>(from, offset), static_cast<size_t>(share));
  });
}

void copy_streaming(const void* from, void* to, int64_t bytes) {
  for_each_share(bytes, [&](int64_t offset, int64_t share) {
    HWY_DYNAMIC_DISPATCH(Streaming)(at<const uint32_t>(from, offset), at<uint32_t>(to, offset), share / 4);
  });
}

void copy_plain(const void* from, void* to, int64_t bytes) {
  for_each_share(bytes, [&](int64_t offset, int64_t share) {
    HWY_DYNAMIC_DISPATCH(Plain)(at<const uint32_t>(from, offset), at<uint32_t>(to, offset), share / 4);
  });
}

void read(const void* from, int64_t bytes) {
  static std::atomic<uint32_t> sink;  // keeps the sums from being optimised away
  for_each_share(bytes, [&](int64_t offset, int64_t share) {
    sink += HWY_DYNAMIC_DISPATCH(Sum)(at<const uint32_t>(from, offset), share / 4);
  });
}

}  // namespace labelsmooth::bench

#endif  // HWY_ONCE
