// SPDX-License-Identifier: MIT
// The images that the study trains on: Fashion-MNIST by default, or a folder of the user's own.
#pragma once

#include <cstdint>  // int64_t
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth {

/// Rows standardised by the mean and standard deviation of all training values.
struct Images {
  std::vector<float> values;    // (rows, features)
  std::vector<int64_t> labels;  // (rows,), in [0, classes)
  int64_t rows() const { return static_cast<int64_t>(labels.size()); }
};

struct Dataset {
  std::string name;  // "fashion-mnist" or "custom"
  int64_t features, classes;
  double mean, deviation;  // of the training values before standardising, bytes scaled to [0, 1]
  Images train, test;
};

/// Where Debian's package puts Fashion-MNIST.
extern const char* const kFashionMnistFolder;

/// `source` is "fashion-mnist", or a folder with MNIST's four IDX files (plain or .gz) or with train.npy,
/// train_labels.npy, test.npy and test_labels.npy (f32, f64 or u8 rows of any shape; integer labels).
/// Throws Error naming the file.
Dataset load_dataset(const std::string& source);

}  // namespace labelsmooth
