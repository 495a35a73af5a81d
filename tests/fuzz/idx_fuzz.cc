// SPDX-License-Identifier: MIT
// Fuzz target of the IDX reader: any bytes either parse, with as many values as the shape has, or throw
// Error.
#include <cstdint>  // uint8_t, uint64_t
#include <cstdlib>  // std::abort
#include <span>     // std::span

#include "io/idx.h"
#include "labelsmooth/tensor.h"

using labelsmooth::io::Idx;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Idx idx = labelsmooth::io::parse_idx(std::as_bytes(std::span(data, size)), "fuzz");
    if (idx.shape.empty() || idx.shape.size() > 4) std::abort();
    uint64_t count = 1;
    for (const int64_t dimension : idx.shape) count *= static_cast<uint64_t>(dimension);
    if (count != idx.values.size()) std::abort();
    if (count > 1032 * uint64_t{size}) std::abort();  // more than deflate can make of the input
  } catch (const labelsmooth::Error&) {
  }
  return 0;
}
