// SPDX-License-Identifier: MIT
#include "arrays.h"

#include <fmt/format.h>  // fmt::format

#include "errors.h"

namespace labelsmooth {

Vector vector_of(const io::Array& array, const std::string& file) {
  if (array.shape.size() != 1)
    throw Error(file, "shape " + shape_text(array.shape) + " found, (classes,) is needed");
  return {array.data, array.dtype, array.size()};
}

Vector flat_of(const io::Array& array, const std::string& file) {
  if (array.fortran_order && array.shape.size() > 1)
    throw Error(file, "Fortran order found, C order is needed");
  return {array.data, array.dtype, array.size()};
}

Rows view_of(const io::Array& array, const std::string& file, int64_t axis) {
  const auto rank = static_cast<int64_t>(array.shape.size());
  if (rank == 0) throw Error(file, "a single number found, at least one dimension is needed");
  if (axis < -rank || axis >= rank) {
    throw UsageError("--axis",
                     fmt::format("{} found, {} to {} is allowed for {}", axis, -rank, rank - 1, file));
  }
  if (axis < 0) axis += rank;
  if (array.fortran_order && rank > 2) throw Error(file, "Fortran order is allowed for up to two dimensions");
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= array.shape[i];
  for (int64_t i = axis + 1; i < rank; ++i) inner *= array.shape[i];
  Rows rows(array.data, array.dtype, outer, array.shape[axis], inner);
  if (array.fortran_order && rank == 2) {  // the transpose of a C array
    rows.outer_stride = axis == 1 ? 1 : 0;
    rows.class_stride = axis == 1 ? array.shape[0] : 1;
    rows.inner_stride = axis == 1 ? 0 : array.shape[0];
  }
  return rows;
}

Logits logits_of(const io::Array& array, const std::string& file, int64_t axis) {
  if (!is_float(array.dtype))
    throw Error(file, std::string("has type ") + name(array.dtype) + ", f32, f64, f16 and bf16 are allowed");
  return view_of(array, file, axis);
}

std::vector<int64_t> rows_shape(const io::Array& logits, int64_t axis) {
  std::vector<int64_t> shape = logits.shape;
  shape.erase(shape.begin() + (axis < 0 ? axis + static_cast<int64_t>(shape.size()) : axis));
  return shape;
}

Vector labels_of(const io::Array& array, const io::Array& logits, const std::string& file, int64_t axis) {
  if (is_float(array.dtype))
    throw Error(file, std::string("has type ") + name(array.dtype) + ", integers are allowed");
  const std::vector<int64_t> expected = rows_shape(logits, axis);
  if (array.shape != expected) {
    throw Error(file, "shape " + shape_text(array.shape) + " found, " + shape_text(expected) + " is needed");
  }
  return flat_of(array, file);
}

}  // namespace labelsmooth
