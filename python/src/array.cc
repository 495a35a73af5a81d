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

// The first version of DLPack's table of C functions, as far as it is used.
struct Exchange {
  uint32_t major, minor;
  const Exchange* older;
  void *allocate, *export_managed, *import_managed;
  int (*view)(void* object, nb::dlpack::dltensor* out);  // borrowed; may be null
};
PyTypeObject* exchange_type = nullptr;
decltype(Exchange::view) exchange_view = nullptr;

bool of_exchange(nb::handle object) {
  return exchange_type != nullptr && PyObject_TypeCheck(object.ptr(), exchange_type);
}

}  // namespace

void read_by_exchange(nb::type_object type) {
  const nb::object capsule = nb::getattr(type, "__dlpack_c_exchange_api__", nb::none());
  if (capsule.is_none()) return;
  auto* table = static_cast<const Exchange*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  if (table == nullptr) nb::raise_python_error();
  while (table != nullptr && table->major != 1) table = table->older;
  if (table == nullptr || table->view == nullptr) return;
  exchange_view = table->view;
  exchange_type = reinterpret_cast<PyTypeObject*>(type.release().ptr());  // for good
}

bool exchanged(const nb::args& objects) {
  for (const nb::handle object : objects) {
    if (object.is_none()) continue;
    if (!of_exchange(object)) return false;
    nb::dlpack::dltensor tensor;
    if (exchange_view(object.ptr(), &tensor) != 0) {
      PyErr_Clear();
      return false;
    }
    bool empty = false;
    for (int32_t i = 0; i < tensor.ndim; ++i) empty |= tensor.shape[i] == 0;
    if (tensor.device.device_type != nb::device::cpu::value || (tensor.data == nullptr && !empty))
      return false;
  }
  return true;
}

template <class Void>
Array<Void>::Array(const char* argument, nb::handle object) {
  if (object.is_none()) return;
  given_ = true;
  if (of_exchange(object)) {
    nb::dlpack::dltensor tensor;
    if (exchange_view(object.ptr(), &tensor) != 0) nb::raise_python_error();
    if (tensor.device.device_type != nb::device::cpu::value)
      throw Error(argument, described(object) + " found, an array on the CPU is needed");
    owner_ = nb::borrow(object);
    describe(argument, object, static_cast<char*>(tensor.data) + tensor.byte_offset, tensor.dtype,
             static_cast<size_t>(tensor.ndim), tensor.shape, tensor.strides);
    return;
  }
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
  describe(argument, object, const_cast<void*>(static_cast<const void*>(handle_.data())), handle_.dtype(),
           handle_.ndim(), handle_.shape_ptr(), handle_.stride_ptr());
  if (bfloat16) dtype_ = DType::bf16;
}

template <class Void>
void Array<Void>::describe(const char* argument, nb::handle object, void* data, nb::dlpack::dtype dtype,
                           size_t axes, const int64_t* shape, const int64_t* strides) {
  data_ = data;
  dtype_ = dtype_of(argument, dtype, object);
  shape_.assign(shape, shape + axes);
  strides_.assign(strides, strides + axes);
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
