// SPDX-License-Identifier: MIT
#include "labelsmooth/tensor.h"

#include <gtest/gtest.h>

#include <array>   // std::array
#include <limits>  // std::numeric_limits
#include <vector>  // std::vector

namespace labelsmooth {
namespace {

template <class T>
void expect_labels() {
  const std::vector<T> values = {0, 1, std::numeric_limits<T>::max(), std::numeric_limits<T>::min()};
  const Vector vector(values);
  EXPECT_EQ(size_bytes(vector.dtype), sizeof(T));
  EXPECT_EQ(vector.label(1), 1);
  EXPECT_EQ(vector.label(2), static_cast<int64_t>(std::min<uint64_t>(values[2], INT64_MAX)))
      << name(vector.dtype);
  EXPECT_EQ(vector.label(3), static_cast<int64_t>(values[3])) << name(vector.dtype);
}

TEST(Vector, ReadsEveryIntegerType) {
  expect_labels<int8_t>();
  expect_labels<uint8_t>();
  expect_labels<int16_t>();
  expect_labels<uint16_t>();
  expect_labels<int32_t>();
  expect_labels<uint32_t>();
  expect_labels<int64_t>();
  expect_labels<uint64_t>();
  expect_labels<long long>();
}

TEST(Vector, ReadsReals) {
  EXPECT_EQ(Vector(std::array<float, 2>{1, 0.1f}).real(1), 0.1f);
  EXPECT_EQ(Vector(std::vector<double>{1, 0.1}).real(1), 0.1);
}

TEST(DType, NamesAndSizes) {
  EXPECT_STREQ(name(DType::f32), "f32");
  EXPECT_STREQ(name(DType::u64), "u64");
  EXPECT_EQ(size_bytes(DType::u16), 2u);
  EXPECT_EQ(size_bytes(DType::f64), 8u);
}

TEST(View, ClassAxisInTheMiddle) {
  const float z[24] = {};
  const Logits view(z, 2, 3, 4);
  EXPECT_EQ(view.rows(), 8);
  EXPECT_EQ(view.outer_stride, 12);
  EXPECT_EQ(view.class_stride, 4);
  EXPECT_EQ(view.inner_stride, 1);
  EXPECT_EQ(view.total_classes, 3);
}

TEST(Error, SaysWhereAndWhat) {
  const Error error("labels", "row 3 has 9", 3);
  EXPECT_STREQ(error.what(), "labels: row 3 has 9");
  EXPECT_EQ(error.argument, "labels");
  EXPECT_EQ(error.row, 3);
}

}  // namespace
}  // namespace labelsmooth
