// SPDX-License-Identifier: MIT
// Fuzz target of the .npy reader: any bytes either parse, with every element readable, or throw Error.
#include <cstdint>  // uint8_t, uintptr_t
#include <cstdlib>  // std::abort
#include <span>     // std::span

#include "io/npy.h"

using labelsmooth::io::Array;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Array array = labelsmooth::io::parse_npy(std::as_bytes(std::span(data, size)), "fuzz");
    const size_t width = labelsmooth::size_bytes(array.dtype);
    const size_t bytes = static_cast<size_t>(array.size()) * width;
    if (array.shape.size() > 8 || bytes > size) std::abort();
    if (reinterpret_cast<uintptr_t>(array.data) % width != 0) std::abort();
    // The data are the end of the input, copied or not; AddressSanitizer watches the reading.
    const auto* elements = static_cast<const uint8_t*>(array.data);
    for (size_t i = 0; i < bytes; ++i) {
      if (elements[i] != data[size - bytes + i]) std::abort();
    }
  } catch (const labelsmooth::Error&) {
  }
  return 0;
}
