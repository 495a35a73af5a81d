// SPDX-License-Identifier: MIT
// The library's threads, or the caller's. Results never depend on their number.
#pragma once

#include <cstdint>     // int64_t
#include <functional>  // std::function

#include "labelsmooth/export.h"

namespace labelsmooth {

/// How many threads a call may use: what set_threads said, else LABELSMOOTH_NUM_THREADS, else the smaller
/// of the affinity mask and the quota of the cgroup (v2, at its root as containers show it).
LABELSMOOTH_API int threads();
/// 0 returns to the default. Throws Error when negative or above 1024.
LABELSMOOTH_API void set_threads(int count);

/// Calls body(begin, end) on disjoint ranges that cover [0, tasks), in any order and on any threads, and
/// returns when all are done.
using Body = std::function<void(int64_t begin, int64_t end)>;
using ParallelFor = std::function<void(int64_t tasks, const Body& body)>;

/// While it lives, the calls of this thread run on `parallel_for` in place of the library's own threads. A
/// call throws Error if the ranges did not cover the tasks.
class LABELSMOOTH_API HostThreads {
 public:
  explicit HostThreads(ParallelFor parallel_for);
  ~HostThreads();
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;

 private:
  ParallelFor parallel_for_;
  const ParallelFor* outer_;
};

}  // namespace labelsmooth
