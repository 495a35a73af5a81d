// SPDX-License-Identifier: MIT
#include "array.h"

#include <nanobind/stl/string.h>

#include <string>       // std::string
#include <type_traits>  // std::is_const_v

namespace labelsmooth::python {
namespace {

// Its type, and that of its elements where it has one.
std::string described(nb::handle object) {
  const nb::object type = nb::getattr(object.type(), "__name__"),
                   dtype = nb::getattr(object, "dtype", nb::none());
  return nb::cast<std::string>(type) +
         (dtype.is_none() ? "" : " of " + nb::cast<std::string>(nb::str(dtype)));
}

DType dtype_of(const char* argument, nb::dlpack::dtype type, nb::handle object) {
  using Code = nb::dlpack::dtype_code;
  const auto code = static_cast<Code>(type.code);
  if (code == Code::Bfloat && type.bits == 16) return DType::bf16;
  if (code == Code::Bool && type.bits == 8) return DType::u8;
  if (code == Code::Float) {
    if (type.bits == 16) return DType::f16;
    if (type.bits == 32) return DType::f32;
    if (type.bits == 64) return DType::f64;
  }
  if (code == Code::Int || code == Code::UInt) {
    const bool is_signed = code == Code::Int;
    if (type.bits == 8) return is_signed ? DType::i8 : DType::u8;
    if (type.bits == 16) return is_signed ? DType::i16 : DType::u16;
    if (type.bits == 32) return is_signed ? DType::i32 : DType::u32;
    if (type.bits == 64) return is_signed ? DType::i64 : DType::u64;
  }
  throw Error(argument, described(object) + " found, floating and integer types are allowed");
}

// NumPy exports no array of ml_dtypes' bfloat16: its bits are exported in its place.
bool is_bfloat16(nb::handle object) {
  nb::object dtype = nb::getattr(object, "dtype", nb::none());
  nb::object name = nb::getattr(dtype, "name", nb::none());
  return nb::isinstance<nb::str>(name) && nb::cast<std::string>(name) == "bfloat16" &&
         nb::hasattr(object, "view");
}

struct Group {
  int64_t count = 1, stride = 0;
};

}  // namespace

template <class Void>
Array<Void>::Array(const char* argument, nb::handle object) {
  if (object.is_none()) return;
  given_ = true;
  bool bfloat16 = false;
  if (!nb::try_cast(object, handle_)) {
    PyErr_Clear();
    bfloat16 = is_bfloat16(object);
    nb::object bits = bfloat16 ? object.attr("view")("uint16") : nb::object();
    if (!bfloat16 || !nb::try_cast(bits, handle_)) {
      PyErr_Clear();
      throw Error(argument, described(object) + " found, an array of numbers " +
                                (std::is_const_v<Void> ? "" : "that may be written, ") +
                                "on the CPU is needed");
    }
  }
  data_ = handle_.data();
  dtype_ = bfloat16 ? DType::bf16 : dtype_of(argument, handle_.dtype(), object);
  for (size_t i = 0; i < handle_.ndim(); ++i) {
    shape_.push_back(static_cast<int64_t>(handle_.shape(i)));
    strides_.push_back(handle_.stride(i));
  }
}

template <class Void>
int64_t Array<Void>::size() const {
  int64_t size = 1;
  for (const int64_t count : shape_) size *= count;
  return size;
}

template <class Void>
Vector Array<Void>::vector(const char* argument) const {
  if (!given()) return {};
  int64_t reach = 1;
  for (size_t i = shape_.size(); i-- > 0;) {
    if (shape_[i] != 1 && strides_[i] != reach && size() > 0)
      throw Error(argument, "is not contiguous, which is needed");
    reach *= shape_[i];
  }
  return {data_, dtype_, size()};
}

template <class Void>
std::optional<View<Void>> Array<Void>::view(const Layout& layout) const {
  Group outer, inner;
  const auto take = [&](Group& group, size_t axis) {
    if (shape_[axis] == 1) return true;
    const bool leaps = group.count != 1 && group.stride != shape_[axis] * strides_[axis];
    if (leaps && size() > 0) return false;  // what is empty may have any strides
    group = {group.count * shape_[axis], strides_[axis]};
    return true;
  };
  int64_t seen = 0;
  for (size_t axis = 0; axis < shape_.size(); ++axis) {
    if (static_cast<int64_t>(axis) == layout.axis) continue;
    if (!take(seen++ < layout.outer_axes ? outer : inner, axis)) return std::nullopt;
  }
  View<Void> view(data_, dtype_, outer.count, shape_[static_cast<size_t>(layout.axis)], inner.count);
  view.outer_stride = outer.stride;
  view.inner_stride = inner.stride;
  view.class_stride = strides_[static_cast<size_t>(layout.axis)];
  return view;
}

template class Array<const void>;
template class Array<void>;

}  // namespace labelsmooth::python
