// SPDX-License-Identifier: MIT
// Fuzz target of the .npz reader: any bytes either parse, with every element readable, or throw Error. A
// first byte names the array asked for: mutations then reach the second of two.
#include <cstdint>   // uint8_t, uintptr_t
#include <cstdlib>   // std::abort
#include <optional>  // std::optional
#include <span>      // std::span
#include <string>    // std::string

#include "io/npz.h"

using labelsmooth::io::Array;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto name = data[0] == '*' ? std::nullopt : std::optional(std::string(1, static_cast<char>(data[0])));
  try {
    const Array array =
        labelsmooth::io::parse_npz(std::as_bytes(std::span(data, size).subspan(1)), "fuzz", name);
    const size_t width = labelsmooth::size_bytes(array.dtype);
    const size_t bytes = static_cast<size_t>(array.size()) * width;
    // Deflate makes 1032 bytes of one at most.
    if (array.shape.size() > 8 || bytes > 1032 * (size + 1)) std::abort();
    if (reinterpret_cast<uintptr_t>(array.data) % width != 0) std::abort();
    // AddressSanitizer watches the reading.
    const auto* elements = static_cast<const volatile uint8_t*>(array.data);
    for (size_t i = 0; i < bytes; ++i) (void)elements[i];
  } catch (const labelsmooth::Error&) {
  }
  return 0;
}
