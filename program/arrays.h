// SPDX-License-Identifier: MIT
// Files as the library's arguments. Errors name the file.
#pragma once

#include <string>  // std::string
#include <vector>  // std::vector

#include "io/array.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

using io::shape_text;

// The views borrow the array's data.

/// (classes,)
Vector vector_of(const io::Array& array, const std::string& file);
/// All elements, in C order.
Vector flat_of(const io::Array& array, const std::string& file);
/// (outer, classes, inner) around the class axis, in C order. One dimension is one row.
Rows view_of(const io::Array& array, const std::string& file, int64_t axis);
/// The same of floating types.
Logits logits_of(const io::Array& array, const std::string& file, int64_t axis);
/// The logits' shape without the class axis.
std::vector<int64_t> rows_shape(const io::Array& logits, int64_t axis);
/// Integers of that shape.
Vector labels_of(const io::Array& array, const io::Array& logits, const std::string& file, int64_t axis);

}  // namespace labelsmooth
