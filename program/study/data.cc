// SPDX-License-Identifier: MIT
#include "study/data.h"

#include <algorithm>   // std::all_of, std::max
#include <cmath>       // std::isfinite, std::sqrt
#include <filesystem>  // std::filesystem::exists

#include "io/idx.h"
#include "io/npy.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {

const char* const kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

namespace {

constexpr int64_t kMostClasses = 1 << 16;
constexpr double kByte = 1 / 255.;

struct Part {
  std::string images_file, labels_file;  // for messages
  Images images;
  int64_t features;
};

bool exists(const std::string& path) { return std::filesystem::exists(path); }

// The file, or its compressed twin; "" if there is neither.
std::string find_idx(const std::string& stem) {
  for (const std::string& path : {stem, stem + ".gz"}) {
    if (exists(path)) return path;
  }
  return "";
}

void check_rows(const Part& part, int64_t images, int64_t labels) {
  if (images == 0) throw Error(part.images_file, "no rows found, at least 1 is needed");
  if (images != labels) {
    throw Error(part.labels_file, std::to_string(labels) + " labels found, " + part.images_file + " has " +
                                      std::to_string(images) + " rows");
  }
}

Part read_idx_part(const std::string& images_file, const std::string& labels_file) {
  Part part = {images_file, labels_file, {}, 0};
  const io::Idx images = io::read_idx(images_file), labels = io::read_idx(labels_file);
  if (labels.shape.size() != 1) throw Error(labels_file, "labels need one dimension");
  check_rows(part, images.shape[0], labels.shape[0]);
  part.features = static_cast<int64_t>(images.values.size()) / images.shape[0];
  part.images.labels.assign(labels.values.begin(), labels.values.end());
  part.images.values.reserve(images.values.size());
  for (const uint8_t value : images.values) part.images.values.push_back(static_cast<float>(value * kByte));
  return part;
}

Part read_npy_part(const std::string& images_file, const std::string& labels_file) {
  Part part = {images_file, labels_file, {}, 0};
  const io::Array images = io::read_npy(images_file), labels = io::read_npy(labels_file);
  if (!is_float(images.dtype) && images.dtype != DType::u8) {
    throw Error(images_file, std::string("has type ") + name(images.dtype) + ", f32, f64 and u8 are allowed");
  }
  if (images.shape.size() < 2 || images.fortran_order) {
    throw Error(images_file, "rows of values in C order are needed, two dimensions or more");
  }
  if (is_float(labels.dtype) || labels.shape.size() != 1) {
    throw Error(labels_file, "one dimension of integers is needed");
  }
  check_rows(part, images.shape[0], labels.shape[0]);
  part.features = images.size() / images.shape[0];
  const Vector label_values(labels.data, labels.dtype, labels.size());
  for (int64_t row = 0; row < label_values.size; ++row) part.images.labels.push_back(label_values.label(row));
  const Vector values(images.data, images.dtype, images.size());
  part.images.values.reserve(static_cast<size_t>(values.size));
  for (int64_t i = 0; i < values.size; ++i) {
    const auto value = static_cast<float>(
        is_float(values.dtype) ? values.real(i) : static_cast<double>(values.label(i)) * kByte);
    if (!std::isfinite(value)) {
      throw Error(images_file, "row " + std::to_string(i / part.features) + " has a value that is not finite",
                  i / part.features);
    }
    part.images.values.push_back(value);
  }
  return part;
}

void check_label_range(const Part& part, int64_t classes) {
  for (int64_t row = 0; row < part.images.rows(); ++row) {
    const int64_t label = part.images.labels[row];
    if (label < 0 || label >= classes) {
      throw Error(part.labels_file,
                  "row " + std::to_string(row) + " has " + std::to_string(label) + ", 0 to " +
                      std::to_string(classes - 1) + " is allowed",
                  row);
    }
  }
}

void standardise(Images& images, double mean, double deviation) {
  for (float& value : images.values) value = static_cast<float>((value - mean) / deviation);
}

Dataset assemble(const std::string& name, Part train, Part test) {
  check_label_range(train, kMostClasses);
  int64_t classes = 0;
  for (const int64_t label : train.images.labels) classes = std::max(classes, label + 1);
  if (classes < 2) throw Error(train.labels_file, "1 class found, at least 2 are needed");
  check_label_range(test, classes);
  if (train.features == 0) throw Error(train.images_file, "rows without values found");
  if (train.features != test.features) {
    throw Error(test.images_file, "rows of " + std::to_string(test.features) + " values found, " +
                                      train.images_file + " has " + std::to_string(train.features));
  }
  double sum = 0, squares = 0;
  for (const float value : train.images.values) {
    sum += value;
    squares += double(value) * value;
  }
  const auto count = static_cast<double>(train.images.values.size());
  const double mean = sum / count, deviation = std::sqrt(std::max(0., squares / count - mean * mean));
  const auto& values = train.images.values;  // whose deviation may round to more than 0
  if (!(deviation > 0) || std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; }))
    throw Error(train.images_file, "all values are equal");
  standardise(train.images, mean, deviation);
  standardise(test.images, mean, deviation);
  return {name, train.features, classes, mean, deviation, std::move(train.images), std::move(test.images)};
}

}  // namespace

Dataset load_dataset(const std::string& source) {
  const bool by_default = source == "fashion-mnist";
  const std::string folder = (by_default ? kFashionMnistFolder : source) + std::string("/");
  const std::string name = by_default ? "fashion-mnist" : "custom";
  if (!std::filesystem::is_directory(folder)) {
    throw Error(folder, by_default
                            ? "no such folder; Debian's package dataset-fashion-mnist brings it"
                            : "no such folder; fashion-mnist, or a folder of IDX or .npy files, is allowed");
  }
  const std::string train_images = find_idx(folder + "train-images-idx3-ubyte");
  if (!train_images.empty()) {
    const auto file = [&](const char* stem) {
      const std::string path = find_idx(folder + stem);
      if (path.empty()) throw Error(folder + stem, "no such file, nor with .gz");
      return path;
    };
    return assemble(name, read_idx_part(train_images, file("train-labels-idx1-ubyte")),
                    read_idx_part(file("t10k-images-idx3-ubyte"), file("t10k-labels-idx1-ubyte")));
  }
  if (exists(folder + "train.npy")) {
    return assemble(name, read_npy_part(folder + "train.npy", folder + "train_labels.npy"),
                    read_npy_part(folder + "test.npy", folder + "test_labels.npy"));
  }
  throw Error(folder, "neither train-images-idx3-ubyte[.gz] nor train.npy found");
}

}  // namespace labelsmooth
