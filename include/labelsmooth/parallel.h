// SPDX-License-Identifier: MIT
// The library's threads. Results never depend on their number.
#pragma once

namespace labelsmooth {

/// How many threads a call may use: what set_threads said, else LABELSMOOTH_NUM_THREADS, else the smaller
/// of the affinity mask and the quota of the cgroup (v2, at its root as containers show it).
int threads();
/// 0 returns to the default. Throws Error when negative or above 1024.
void set_threads(int count);

}  // namespace labelsmooth
