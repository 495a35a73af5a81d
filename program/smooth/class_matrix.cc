// SPDX-License-Identifier: MIT
#include "smooth/class_matrix.h"

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::isnan
#include <cstddef>    // std::byte, size_t
#include <string>     // std::to_string

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth {
namespace {

constexpr int64_t kPieceElements = int64_t{1} << 20;

// Scales the row of class y to sum to 1 without y. False where there is nothing to scale.
bool normalise(double* row, int64_t classes, int64_t y) {
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += row[k];
  for (int64_t k = 0; k < classes; ++k) {
    if (k != y) row[k] = sum > 0 ? row[k] / sum : 1 / static_cast<double>(classes - 1);
  }
  return sum > 0;
}

}  // namespace

ClassMatrix class_matrix(const Vector& logits, int64_t classes, const Labels& labels, Progress& progress) {
  const Vector& values = labels.values;
  const int64_t piece_rows = std::max<int64_t>(kPieceElements / classes, 1);
  std::vector<double> piece(static_cast<size_t>(std::min(piece_rows, values.size) * classes));
  ClassMatrix matrix = {std::vector<double>(static_cast<size_t>(classes * classes)), {}};
  for (int64_t begin = 0; begin < values.size; begin += piece_rows) {
    const int64_t count = std::min(piece_rows, values.size - begin);
    for (int64_t i = 0; i < count * classes; ++i) piece[i] = logits.real(begin * classes + i);
    const auto* first = static_cast<const std::byte*>(values.data) + begin * size_bytes(values.dtype);
    // The gradient of the hard-label loss is softmax - onehot: off the label it is the probability.
    cross_entropy({piece.data(), count, classes}, Vector(first, values.dtype, count),
                  Gradient(piece.data(), count, classes),
                  {.ignore_index = labels.ignore_index, .reduction = Reduction::sum});
    for (int64_t i = 0; i < count; ++i) {
      if (labels.ignored(begin + i)) continue;
      const double* gradient = piece.data() + i * classes;
      const int64_t y = values.label(begin + i);
      if (std::isnan(gradient[y])) {
        throw Error("logits",
                    "row " + std::to_string(begin + i) +
                        " has no probabilities (NaN, inf, or all -inf), finite values and -inf are allowed",
                    begin + i);
      }
      for (int64_t k = 0; k < classes; ++k) {
        if (k != y) matrix.values[y * classes + k] += gradient[k];
      }
    }
    progress.add(static_cast<double>(count));
  }
  for (int64_t y = 0; y < classes; ++y) {
    if (!normalise(&matrix.values[y * classes], classes, y)) matrix.uniform_rows.push_back(y);
  }
  return matrix;
}

}  // namespace labelsmooth
