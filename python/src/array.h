// SPDX-License-Identifier: MIT
// Python arrays of any framework (DLPack or buffer protocol, on the CPU) as the library's views.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>  // std::optional
#include <vector>    // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth::python {

namespace nb = nanobind;

/// Which of an array's axes holds the classes, and how the others, in their order, fall into outer and inner
/// ones: a view walks rows with two strides.
struct Layout {
  int64_t axis = 0, outer_axes = 0;
};

/// A borrowed array. None gives one that is absent.
template <class Void>
class Array {
 public:
  Array() = default;
  /// Throws Error naming `argument` when the object is no array on the CPU, of a type the library has none
  /// for, or read-only where it is written.
  Array(const char* argument, nb::handle object);

  bool given() const { return given_; }
  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t size() const;

  /// Contiguous, of any shape; an absent one is empty.
  Vector vector(const char* argument) const;
  /// Nothing where the strides do not fit the layout.
  std::optional<View<Void>> view(const Layout& layout) const;

 private:
  using Handle = std::conditional_t<std::is_const_v<Void>, nb::ndarray<nb::ro, nb::device::cpu>,
                                    nb::ndarray<nb::device::cpu>>;
  Handle handle_;  // keeps the memory
  Void* data_ = nullptr;
  DType dtype_ = DType::f32;
  std::vector<int64_t> shape_, strides_;  // strides in elements
  bool given_ = false;
};
using In = Array<const void>;
using Out = Array<void>;

}  // namespace labelsmooth::python
