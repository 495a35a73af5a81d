// SPDX-License-Identifier: MIT
// A small thread pool with a fixed partition: no work stealing, no OpenMP, alive after fork.
#pragma once

#include <cstdint>  // int64_t

#include "labelsmooth/parallel.h"

namespace labelsmooth {

/// Calls body(begin, end) on disjoint ranges that cover [0, tasks), on at most threads() threads, and returns
/// when all are done; an exception of a body is rethrown here. Runs inline when `elements`, the work in all,
/// is small, when the pool is busy with another caller, and inside a body. Bodies must not depend on the
/// ranges.
void parallel_for(int64_t tasks, int64_t elements, const Body& body);

}  // namespace labelsmooth
