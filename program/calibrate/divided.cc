// SPDX-License-Identifier: MIT
#include "calibrate/divided.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::min
#include <cmath>      // std::isfinite
#include <span>       // std::as_bytes, std::span
#include <vector>     // std::vector

#include "io/npy.h"
#include "progress.h"
#include "storage.h"

namespace labelsmooth {
namespace {

constexpr int64_t kPiece = int64_t{1} << 18;  // elements

/// The elements in C order: where the next one lies, also in a Fortran array.
class Order {
 public:
  explicit Order(const io::Array& array)
      : shape_(array.shape), index_(shape_.size()), stride_(shape_.size()) {
    int64_t stride = 1;
    for (size_t i = 0; i < shape_.size(); ++i) {
      const size_t axis = array.fortran_order ? i : shape_.size() - 1 - i;
      stride_[axis] = stride;
      stride *= shape_[axis];
    }
  }
  int64_t next() {
    const int64_t at = at_;
    for (size_t axis = shape_.size(); axis-- > 0;) {
      at_ += stride_[axis];
      if (++index_[axis] < shape_[axis]) break;
      at_ -= stride_[axis] * shape_[axis];
      index_[axis] = 0;
    }
    return at;
  }

 private:
  std::vector<int64_t> shape_, index_, stride_;
  int64_t at_ = 0;
};

}  // namespace

void write_divided(const io::Array& logits, const std::string& file, double temperature,
                   const std::string& out, bool quiet) {
  if (!is_float(logits.dtype)) {
    throw Error(file, std::string("has type ") + name(logits.dtype) + ", f32, f64, f16 and bf16 are allowed");
  }
  const int64_t size = logits.size();
  io::NewNpy npy(out, logits.dtype, logits.shape);
  Progress progress("files", static_cast<double>(size), 1, quiet);
  with_storage(logits.dtype, [&]<class S>() {
    const S* data = static_cast<const S*>(logits.data);
    std::vector<S> piece;
    Order order(logits);
    for (int64_t begin = 0; begin < size; begin += kPiece) {
      piece.resize(static_cast<size_t>(std::min(kPiece, size - begin)));
      for (size_t i = 0; i < piece.size(); ++i) {
        const auto z =
            load<double>(data[logits.fortran_order ? order.next() : begin + static_cast<int64_t>(i)]);
        store(z / temperature, piece[i]);
        if (std::isfinite(z) && !std::isfinite(load<double>(piece[i]))) {
          throw Error(file, fmt::format("element {} is {}, and divided by {} beyond {}",
                                        begin + static_cast<int64_t>(i), z, temperature, name(logits.dtype)));
        }
      }
      npy.write(std::as_bytes(std::span(piece)));
      progress.add(static_cast<double>(piece.size()));
    }
  });
  npy.commit();
}

}  // namespace labelsmooth
