// SPDX-License-Identifier: MIT
// Borrowed views of the caller's arrays, and the one error type of the library.
#pragma once

#include <cstddef>      // size_t
#include <cstdint>      // int64_t
#include <iterator>     // std::data, std::size
#include <stdexcept>    // std::invalid_argument
#include <string>       // std::string
#include <type_traits>  // std::is_same_v

#include "labelsmooth/export.h"

namespace labelsmooth {

enum class DType : uint8_t { f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, u64 };

/// What C++20 has no types for: IEEE binary16, and the upper half of an f32.
struct f16 {
  uint16_t bits = 0;
};
struct bf16 {
  uint16_t bits = 0;
};

/// "f32", "i64", ...
LABELSMOOTH_API const char* name(DType dtype);
LABELSMOOTH_API size_t size_bytes(DType dtype);
constexpr bool is_float(DType dtype) { return dtype <= DType::bf16; }

/// The DType of a C++ type; integers by width and sign, so that long and long long both work.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) {
    return DType::f32;
  } else if constexpr (std::is_same_v<T, double>) {
    return DType::f64;
  } else if constexpr (std::is_same_v<T, f16>) {
    return DType::f16;
  } else if constexpr (std::is_same_v<T, bf16>) {
    return DType::bf16;
  } else {
    static_assert(std::is_integral_v<T>);
    constexpr bool kSigned = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return kSigned ? DType::i8 : DType::u8;
    if constexpr (sizeof(T) == 2) return kSigned ? DType::i16 : DType::u16;
    if constexpr (sizeof(T) == 4) return kSigned ? DType::i32 : DType::u32;
    return kSigned ? DType::i64 : DType::u64;
  }
}

/// What was wrong with an argument. what() is one line: "ARGUMENT: what was found, what is allowed".
struct LABELSMOOTH_API Error : std::invalid_argument {
  Error(const std::string& argument, const std::string& found, int64_t row = -1)
      : std::invalid_argument(argument + ": " + found), argument(argument), found(found), row(row) {}
  std::string argument, found;
  int64_t row;  // the first offending row, -1 where no row is to blame
};

/// A borrowed vector, contiguous: labels are of any integer type, weights of any floating one. A temporary
/// given to a member of Options dangles: keep the vector alive.
struct Vector {
  Vector() = default;
  Vector(const void* data, DType dtype, int64_t size) : data(data), dtype(dtype), size(size) {}
  template <class T>
  Vector(const T* data, int64_t size) : Vector(data, dtype_of<T>(), size) {}
  /// From std::vector, std::array, std::span, a C array.
  template <class Range>
    requires requires(const Range& range) { std::data(range); }
  Vector(const Range& range) : Vector(std::data(range), static_cast<int64_t>(std::size(range))) {}

  bool empty() const { return size == 0; }
  /// Element i; a u64 label past the int64 range reads as the largest int64, which no row allows.
  LABELSMOOTH_API int64_t label(int64_t i) const;
  LABELSMOOTH_API double real(int64_t i) const;

  const void* data = nullptr;
  DType dtype = DType::i64;
  int64_t size = 0;
};

/// Rows of numbers by class (logits, their gradient, dense labels, priors, masks): element (outer, class,
/// inner) at data + outer * outer_stride + class * class_stride + inner * inner_stride, strides in elements.
/// Row r is (r / inner, r % inner). A shard holds the classes [class_begin, class_begin + classes) of
/// total_classes; the whole is the shard that begins at 0 and holds all. `padding` counts the classes past
/// these that are there in memory only, such as a vocabulary rounded up to a multiple of 64.
template <class Void>
struct View {
  View() = default;
  /// Rows of classes, contiguous: (rows, classes).
  template <class T>
  View(T* data, int64_t rows, int64_t classes) : View(data, rows, classes, 1) {}
  /// The class axis in the middle, contiguous: (outer, classes, inner), as in (N, C, H * W).
  template <class T>
  View(T* data, int64_t outer, int64_t classes, int64_t inner)
      : View(data, dtype_of<std::remove_const_t<T>>(), outer, classes, inner) {}
  /// The same where the type is known at run time only.
  View(Void* data, DType dtype, int64_t outer, int64_t classes, int64_t inner)
      : data(data),
        dtype(dtype),
        outer(outer),
        classes(classes),
        inner(inner),
        outer_stride(static_cast<int64_t>(static_cast<uint64_t>(classes) * static_cast<uint64_t>(inner))),
        class_stride(inner),
        total_classes(classes) {}
  /// A writable view serves where a read-only one is asked for.
  operator View<const void>() const
    requires(!std::is_const_v<Void>)
  {
    View<const void> view(data, dtype, outer, classes, inner);
    view.outer_stride = outer_stride;
    view.class_stride = class_stride;
    view.inner_stride = inner_stride;
    view.class_begin = class_begin;
    view.total_classes = total_classes;
    view.padding = padding;
    return view;
  }

  int64_t rows() const { return outer * inner; }
  int64_t index(int64_t row, int64_t k) const {
    return row / inner * outer_stride + row % inner * inner_stride + k * class_stride;
  }
  /// Element k of a row, k counted from the view's own first class. Floating types.
  double real(int64_t row, int64_t k) const { return Vector(data, dtype, 0).real(index(row, k)); }
  /// The same memory, of whose classes only the first `classes` are real.
  View unpadded(int64_t real_classes) const {
    View view = *this;
    view.padding = padding + classes - real_classes;
    view.classes = view.total_classes = real_classes;
    return view;
  }
  /// The same elements, declared to be the classes [begin, begin + classes) of `total`.
  View shard(int64_t begin, int64_t total) const {
    View view = *this;
    view.class_begin = begin;
    view.total_classes = total;
    return view;
  }

  Void* data = nullptr;
  DType dtype = DType::f32;
  int64_t outer = 0, classes = 0, inner = 1;
  int64_t outer_stride = 0, class_stride = 1, inner_stride = 1;
  int64_t class_begin = 0, total_classes = 0;
  int64_t padding = 0;
};
using Rows = View<const void>;
using Logits = View<const void>;
using Gradient = View<void>;

}  // namespace labelsmooth
