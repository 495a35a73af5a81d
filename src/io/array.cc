// SPDX-License-Identifier: MIT
#include "io/array.h"

#include <algorithm>    // std::find, std::max
#include <optional>     // std::optional
#include <string_view>  // std::string_view

#include "io/csv.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/safetensors.h"

namespace labelsmooth::io {

int64_t Array::size() const {
  int64_t size = 1;
  for (const int64_t dimension : shape) size *= dimension;
  return size;
}

void Array::borrow(std::span<const std::byte> bytes) {
  data = bytes.data();
  if (reinterpret_cast<uintptr_t>(data) % size_bytes(dtype) != 0) {
    const auto copy = std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
    data = copy->data();
    owner = copy;
  }
}

Array read_array(const std::string& argument) {
  // The first ending with a colon ends the path: what follows is a name, which may hold anything.
  std::string path = argument;
  std::optional<std::string> name;
  for (const std::string_view ending : {".npz:", ".safetensors:"}) {
    const size_t at = path.find(ending);
    if (at == std::string::npos) continue;
    name = argument.substr(at + ending.size());
    path.resize(at + ending.size() - 1);
  }
  if (path.ends_with(".npz")) return read_npz(path, name);
  if (path.ends_with(".safetensors")) return read_safetensors(path, name);
  if (path.ends_with(".csv")) return read_csv(path);
  return read_npy(path);
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

int64_t checked_size(const std::vector<int64_t>& shape, int64_t most, const std::string& file) {
  int64_t size = 1;
  for (const int64_t dimension : shape) {
    if (__builtin_mul_overflow(size, std::max<int64_t>(dimension, 1), &size) || size > most) {
      throw Error(file, "shape " + shape_text(shape) + " is too large for 64 bits");
    }
  }
  return std::find(shape.begin(), shape.end(), 0) != shape.end() ? 0 : size;
}

}  // namespace labelsmooth::io
