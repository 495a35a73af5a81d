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

/// From now on arrays of `type` are read by the C functions that it offers, DLPack's
/// __dlpack_c_exchange_api__: a fifth of the price of a NumPy view, a twentieth of a capsule's. Nothing
/// changes for a type without them.
void read_by_exchange(nb::type_object type);
/// Whether each of these, None aside, can be read so: it has memory of its own, on the CPU.
bool exchanged(const nb::args& objects);

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
  void describe(const char* argument, nb::handle object, void* data, nb::dlpack::dtype dtype, size_t axes,
                const int64_t* shape, const int64_t* strides);

  Handle handle_;     // keeps the memory,
  nb::object owner_;  // or this does
  Void* data_ = nullptr;
  DType dtype_ = DType::f32;
  std::vector<int64_t> shape_, strides_;  // strides in elements
  bool given_ = false;
};
using In = Array<const void>;
using Out = Array<void>;

}  // namespace labelsmooth::python
