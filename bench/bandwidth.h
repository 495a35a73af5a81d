// SPDX-License-Identifier: MIT
// What no loss can beat: moving its bytes. On the library's own threads and the CPU's widest vectors.
#pragma once

#include <cstdint>  // int64_t

namespace labelsmooth::bench {

/// Three ways to copy, since which is the fastest depends on the machine, the size and the threads: memcpy,
/// stores that go around the cache, and a plain loop. Both pointers are aligned to 64 bytes.
void copy_by_memcpy(const void* from, void* to, int64_t bytes);
void copy_streaming(const void* from, void* to, int64_t bytes);
void copy_plain(const void* from, void* to, int64_t bytes);

/// Reads and adds up, as integers, so that no bit pattern is slow.
void read(const void* from, int64_t bytes);

}  // namespace labelsmooth::bench
