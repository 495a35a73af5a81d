// SPDX-License-Identifier: MIT
// Fuzz target of the .csv reader: any bytes either parse, with as many numbers as commas and lines allow, or
// throw Error.
#include <algorithm>  // std::count
#include <cstdint>    // int64_t, uint8_t
#include <cstdlib>    // std::abort
#include <span>       // std::span

#include "io/csv.h"

using labelsmooth::DType;
using labelsmooth::io::Array;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Array array = labelsmooth::io::parse_csv(std::as_bytes(std::span(data, size)), "fuzz");
    const int64_t columns = array.shape.size() == 1 ? 1 : array.shape.at(1), rows = array.shape.at(0);
    if (array.shape.size() > 2 || rows < 1 || columns < 1 || array.fortran_order) std::abort();
    if (array.dtype != DType::f64 && (array.dtype != DType::i64 || columns > 1)) std::abort();
    if (rows - 1 > std::count(data, data + size, '\n')) std::abort();
    if (rows * (columns - 1) > std::count(data, data + size, ',')) std::abort();
    // AddressSanitizer watches the reading; each number came of a byte at least.
    const auto* elements = static_cast<const volatile int64_t*>(array.data);
    for (int64_t i = 0; i < array.size(); ++i) (void)elements[i];
    if (array.size() > static_cast<int64_t>(size)) std::abort();
  } catch (const labelsmooth::Error&) {
  }
  return 0;
}
