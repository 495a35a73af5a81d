// SPDX-License-Identifier: MIT
#include "study/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>       // std::sqrt, std::nan
#include <filesystem>  // std::filesystem::remove, create_directory
#include <numeric>     // std::accumulate
#include <span>        // std::span
#include <string>      // std::string
#include <vector>      // std::vector

#include "io/fixtures.h"
#include "io/idx.h"
#include "io/npy.h"

namespace labelsmooth {
namespace {

using io::error_of;
using io::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Bytes = std::vector<uint8_t>;

const Bytes kTrainImages = {0, 255, 51, 102, 10, 20, 30, 40, 200, 100, 50, 25}, kTrainLabels = {2, 0, 1},
            kTestImages = {1, 2, 3, 4, 255, 255, 255, 255}, kTestLabels = {1, 1};

// Three training and two test images of 2 x 2, MNIST's names, `suffix` behind them.
void put_idx(const TempFolder& folder, const std::string& suffix) {
  io::write_idx(folder.path("train-images-idx3-ubyte" + suffix), {3, 2, 2}, kTrainImages);
  io::write_idx(folder.path("train-labels-idx1-ubyte" + suffix), {3}, kTrainLabels);
  io::write_idx(folder.path("t10k-images-idx3-ubyte" + suffix), {2, 2, 2}, kTestImages);
  io::write_idx(folder.path("t10k-labels-idx1-ubyte" + suffix), {2}, kTestLabels);
}

template <class T>
void put_array(const TempFolder& folder, const std::string& name, const std::vector<int64_t>& shape,
               const std::vector<T>& values) {
  io::write_npy(folder.path(name), dtype_of<T>(), shape, values.data());
}

// The same in .npy files: rows of T, labels of L.
template <class T, class L>
void put_npy(const TempFolder& folder) {
  const auto as = [](const Bytes& bytes, auto zero) {
    return std::vector<decltype(zero)>(bytes.begin(), bytes.end());
  };
  put_array(folder, "train.npy", {3, 2, 2}, as(kTrainImages, T{}));
  put_array(folder, "train_labels.npy", {3}, as(kTrainLabels, L{}));
  put_array(folder, "test.npy", {2, 2, 2}, as(kTestImages, T{}));
  put_array(folder, "test_labels.npy", {2}, as(kTestLabels, L{}));
}

std::string refusal(const TempFolder& folder) {
  return error_of([&] { load_dataset(folder.path("")); });
}

// `scale` is what a stored value stands for. f32 holds the standardised values: a relative error of 2^-24 of
// the value, and of the byte before it.
void expect_the_images(const Dataset& data, double scale) {
  EXPECT_EQ(data.name, "custom");
  EXPECT_EQ(data.features, 4);
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.train.labels, (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(data.test.labels, (std::vector<int64_t>{1, 1}));
  double mean = 0, square = 0;
  for (const uint8_t value : kTrainImages) mean += scale * value / 12;
  for (const uint8_t value : kTrainImages) square += (scale * value - mean) * (scale * value - mean) / 12;
  const double tolerance = 1e-7;
  EXPECT_NEAR(data.mean, mean, tolerance * mean);
  EXPECT_NEAR(data.deviation, std::sqrt(square), tolerance * mean);
  const auto expect = [&](const std::vector<float>& values, const Bytes& bytes) {
    ASSERT_EQ(values.size(), bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_NEAR(values[i], (scale * bytes[i] - mean) / std::sqrt(square), 4e-7) << i;
    }
  };
  expect(data.train.values, kTrainImages);
  expect(data.test.values, kTestImages);  // by the training set's mean and deviation
}

TEST(Data, Idx) {
  for (const char* suffix : {"", ".gz"}) {
    const TempFolder folder;
    put_idx(folder, suffix);
    expect_the_images(load_dataset(folder.path("")), 1 / 255.);
  }
}

TEST(Data, NpyOfEveryType) {
  const auto expect = [](auto value, auto label, double scale) {
    const TempFolder folder;
    put_npy<decltype(value), decltype(label)>(folder);
    expect_the_images(load_dataset(folder.path("")), scale);
  };
  expect(uint8_t{}, int64_t{}, 1 / 255.);
  expect(float{}, int32_t{}, 1);
  expect(double{}, uint8_t{}, 1);
  expect(float{}, uint64_t{}, 1);
  expect(float{}, int8_t{}, 1);
}

TEST(Data, StandardisedTrainingValuesHaveMeanZeroAndDeviationOne) {
  const TempFolder folder;
  put_idx(folder, ".gz");
  const Dataset data = load_dataset(folder.path(""));
  double sum = 0, squares = 0;
  for (const float value : data.train.values) sum += value, squares += double{value} * value;
  EXPECT_NEAR(sum / 12, 0, 1e-7);
  EXPECT_NEAR(squares / 12, 1, 2e-7);
}

TEST(Data, FolderWithoutSlash) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path("images"));
  put_idx(folder, "");
  EXPECT_EQ(load_dataset(folder.path(".")).train.rows(), 3);
  EXPECT_THAT(error_of([&] { load_dataset(folder.path("images")); }),
              HasSubstr("neither train-images-idx3-ubyte[.gz] nor train.npy found"));
}

TEST(Data, MissingFilesAreNamed) {
  EXPECT_THAT(error_of([] { load_dataset("no/such/folder"); }),
              AllOf(StartsWith("no/such/folder"), HasSubstr("no such folder")));
  for (const char* name : {"train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    const TempFolder folder;
    put_idx(folder, ".gz");
    std::filesystem::remove(folder.path(std::string(name) + ".gz"));
    EXPECT_THAT(refusal(folder), HasSubstr(std::string(name) + ": no such file, nor with .gz"));
  }
  for (const char* name : {"train_labels.npy", "test.npy", "test_labels.npy"}) {
    const TempFolder folder;
    put_npy<float, int64_t>(folder);
    std::filesystem::remove(folder.path(name));
    EXPECT_THAT(refusal(folder), HasSubstr(std::string(name) + ": cannot be opened: No such file"));
  }
}

TEST(Data, LabelsOutOfRangeAreNamedWithTheirRow) {
  const TempFolder folder;
  put_npy<float, int64_t>(folder);
  put_array<int64_t>(folder, "train_labels.npy", {3}, {0, -1, 1});
  EXPECT_THAT(refusal(folder), HasSubstr("train_labels.npy: row 1 has -1, 0 to 65535 is allowed"));
  put_array<int64_t>(folder, "train_labels.npy", {3}, {0, 1, 65536});
  EXPECT_THAT(refusal(folder), HasSubstr("train_labels.npy: row 2 has 65536"));
  put_array<int64_t>(folder, "train_labels.npy", {3}, {2, 0, 1});
  put_array<int64_t>(folder, "test_labels.npy", {2}, {0, 3});
  EXPECT_THAT(refusal(folder), HasSubstr("test_labels.npy: row 1 has 3, 0 to 2 is allowed"));
  put_array<int64_t>(folder, "test_labels.npy", {2}, {-1, 0});
  EXPECT_THAT(refusal(folder), HasSubstr("test_labels.npy: row 0 has -1, 0 to 2 is allowed"));
  put_array<uint64_t>(folder, "test_labels.npy", {2}, {0, uint64_t{1} << 63});
  EXPECT_THAT(refusal(folder), HasSubstr("test_labels.npy: row 1 has"));
}

TEST(Data, CountsThatDoNotMatch) {
  const TempFolder npy, idx;
  put_npy<float, int64_t>(npy);
  put_array<int64_t>(npy, "train_labels.npy", {4}, {0, 1, 2, 0});
  EXPECT_THAT(refusal(npy), AllOf(HasSubstr("train_labels.npy: 4 labels found"), HasSubstr("has 3 rows")));
  put_idx(idx, "");
  io::write_idx(idx.path("t10k-labels-idx1-ubyte"), {1}, Bytes{0});
  EXPECT_THAT(refusal(idx), AllOf(HasSubstr("t10k-labels-idx1-ubyte: 1 labels"), HasSubstr("has 2 rows")));
  put_idx(idx, "");
  io::write_idx(idx.path("t10k-images-idx3-ubyte"), {2, 3}, Bytes{1, 2, 3, 4, 5, 6});
  EXPECT_THAT(refusal(idx), AllOf(HasSubstr("t10k-images-idx3-ubyte: rows of 3 values"), HasSubstr("has 4")));
}

TEST(Data, EmptySets) {
  const TempFolder folder;
  put_npy<float, int64_t>(folder);
  put_array<float>(folder, "test.npy", {0, 2, 2}, {});
  put_array<int64_t>(folder, "test_labels.npy", {0}, {});
  EXPECT_THAT(refusal(folder), HasSubstr("test.npy: no rows found"));
  put_array<float>(folder, "train.npy", {3, 0}, {});
  EXPECT_THAT(refusal(folder), HasSubstr("no rows found"));
  put_npy<float, int64_t>(folder);
  put_array<float>(folder, "train.npy", {3, 0}, {});
  EXPECT_THAT(refusal(folder), HasSubstr("train.npy: rows without values found"));
}

TEST(Data, ValuesThatAreNotFinite) {
  for (const double bad : {std::nan(""), HUGE_VAL, 1e300}) {  // 1e300 is infinite in f32
    const TempFolder folder;
    put_npy<double, int64_t>(folder);
    put_array<double>(folder, "train.npy", {3, 4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, bad, 12});
    EXPECT_THAT(refusal(folder), HasSubstr("train.npy: row 2 has a value that is not finite"));
  }
}

TEST(Data, NothingToLearn) {
  const TempFolder folder;
  put_npy<float, int64_t>(folder);
  put_array<int64_t>(folder, "train_labels.npy", {3}, {0, 0, 0});
  put_array<int64_t>(folder, "test_labels.npy", {2}, {0, 0});
  EXPECT_THAT(refusal(folder), HasSubstr("train_labels.npy: 1 class found, at least 2 are needed"));
}

// Values whose mean and squares round: their computed deviation is a little above 0.
TEST(Data, ConstantValues) {
  for (const float value : {0.f, .7f, 1e6f, -3.3f, 123.456f}) {
    for (const int64_t rows : {3, 250, 1001}) {
      const TempFolder folder;
      put_npy<float, int64_t>(folder);
      std::vector<int64_t> labels(rows);
      labels[0] = 2;
      put_array(folder, "train.npy", {rows, 4}, std::vector<float>(rows * 4, value));
      put_array(folder, "train_labels.npy", {rows}, labels);
      EXPECT_THAT(refusal(folder), HasSubstr("train.npy: all values are equal")) << value << " " << rows;
    }
  }
}

TEST(Data, TypesAndShapes) {
  const TempFolder folder;
  put_npy<float, int64_t>(folder);
  put_array<int32_t>(folder, "train.npy", {3, 4}, std::vector<int32_t>(12));
  EXPECT_THAT(refusal(folder), HasSubstr("train.npy: has type i32, f32, f64 and u8 are allowed"));
  put_array<float>(folder, "train.npy", {3}, {1, 2, 3});
  EXPECT_THAT(refusal(folder), HasSubstr("train.npy: rows of values in C order are needed"));
  put_npy<float, int64_t>(folder);
  put_array<float>(folder, "train_labels.npy", {3}, {0, 1, 2});
  EXPECT_THAT(refusal(folder), HasSubstr("train_labels.npy: one dimension of integers is needed"));
  put_array<int64_t>(folder, "train_labels.npy", {3, 1}, {0, 1, 2});
  EXPECT_THAT(refusal(folder), HasSubstr("train_labels.npy: one dimension of integers is needed"));

  put_npy<float, int64_t>(folder);
  std::string fortran = io::get(folder.path("test.npy"));
  fortran.replace(fortran.find("False"), 5, "True ");
  io::put(folder.path("test.npy"), fortran);
  EXPECT_THAT(refusal(folder), HasSubstr("test.npy: rows of values in C order are needed"));

  const TempFolder idx;
  put_idx(idx, "");
  io::write_idx(idx.path("train-labels-idx1-ubyte"), {3, 1}, kTrainLabels);
  EXPECT_THAT(refusal(idx), HasSubstr("train-labels-idx1-ubyte: labels need one dimension"));
}

}  // namespace
}  // namespace labelsmooth
