// SPDX-License-Identifier: MIT
#include "compare/logits_file.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::max
#include <cmath>      // std::abs, std::isinf, std::log
#include <limits>     // std::numeric_limits

#include "arrays.h"

namespace labelsmooth::compare {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();

// By which a row of probabilities may miss 1: the rounding of its type, with room for tools that add in it.
double tolerance(DType dtype) { return size_bytes(dtype) == 2 ? 2e-2 : 1e-3; }

}  // namespace

Labels read_labels(const std::string& file, int64_t ignore_index) {
  const io::Array array = io::read_array(file);
  if (is_float(array.dtype))
    throw Error(file, fmt::format("has type {}, integers are allowed", name(array.dtype)));
  const Vector vector = flat_of(array, file);
  Labels labels = {file, array.shape, {}, {}};
  for (int64_t i = 0; i < vector.size; ++i) {
    const int64_t label = vector.label(i);
    if (label == ignore_index) continue;
    labels.rows.push_back(i);
    labels.labels.push_back(label);
  }
  if (labels.rows.empty()) {
    throw Error(file, vector.size == 0 ? "no rows found, at least one is needed"
                                       : fmt::format("every label is {}, which is ignored", ignore_index));
  }
  return labels;
}

LogitsFile::LogitsFile(const std::string& file, const Labels& labels, bool probs)
    : file_(file),
      labels_(labels),
      probs_(probs),
      array_(io::read_array(file)),
      view_(logits_of(array_, file, -1)) {
  if (rows_shape(array_, -1) != labels.shape) {
    throw Error(file, fmt::format("shape {} found, for the labels {} of {} a class axis more is needed",
                                  shape_text(array_.shape), shape_text(labels.shape), labels.file));
  }
  if (classes() < 2) throw Error(file, fmt::format("{} classes found, at least 2 are needed", classes()));
  for (size_t i = 0; i < labels.rows.size(); ++i) check_row(labels.rows[i], labels.labels[i]);
}

double LogitsFile::value(int64_t row_start, int64_t k) const {
  const int64_t index = row_start + k * view_.class_stride;
  if (view_.dtype == DType::f32) return static_cast<const float*>(view_.data)[index];
  if (view_.dtype == DType::f64) return static_cast<const double*>(view_.data)[index];
  return Vector(view_.data, view_.dtype, 0).real(index);
}

void LogitsFile::check_row(int64_t row, int64_t label) const {
  if (label < 0 || label >= classes()) {
    throw Error(
        labels_.file,
        fmt::format("{} in row {} found, 0 to {} is allowed for {}", label, row, classes() - 1, file_), row);
  }
  const int64_t start = view_.index(row, 0);
  double sum = 0;
  for (int64_t k = 0; k < classes(); ++k) {
    const double v = value(start, k);
    const bool good = probs_ ? v >= 0 && v <= 1 + tolerance(view_.dtype)
                             : std::abs(v) <= kLargest || v == -std::numeric_limits<double>::infinity();
    if (!good) {
      throw Error(file_,
                  fmt::format("{} in row {} found, {}", v, row,
                              probs_ ? "probabilities from 0 to 1 are allowed"
                                     : "finite values in the range of f32 and -inf are allowed"),
                  row);
    }
    sum += v;
  }
  if (probs_ && std::abs(sum - 1) > tolerance(view_.dtype)) {
    throw Error(file_, fmt::format("row {} sums to {}, probabilities sum to 1", row, sum), row);
  }
  const double own = value(start, label);
  if (probs_ ? own == 0 : std::isinf(own)) {
    throw Error(file_,
                fmt::format("label {} of row {} has {}, its NLL is infinite", label, row,
                            probs_ ? "probability 0" : "logit -inf"),
                row);
  }
}

LogitBlocks LogitsFile::blocks() const {
  return {classes(), [this](int64_t begin, int64_t end, std::vector<float>& scratch) {
            return read(begin, end, scratch);
          }};
}

std::span<const float> LogitsFile::read(int64_t begin, int64_t end, std::vector<float>& scratch) const {
  const int64_t first = labels_.rows[begin], count = end - begin;
  const bool adjacent = labels_.rows[end - 1] - first == count - 1;
  const bool plain = view_.dtype == DType::f32 && !array_.fortran_order && !probs_;
  if (plain && adjacent) {
    return {static_cast<const float*>(view_.data) + first * classes(),
            static_cast<size_t>(count * classes())};
  }
  scratch.resize(static_cast<size_t>(count * classes()));
  std::vector<double> row(classes());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t start = view_.index(labels_.rows[begin + i], 0);
    double largest = -std::numeric_limits<double>::infinity();
    for (int64_t k = 0; k < classes(); ++k) {
      const double v = value(start, k);
      row[k] = probs_ ? std::log(v) : v;
      largest = std::max(largest, row[k]);
    }
    const double shift = view_.dtype == DType::f32 && !probs_ ? 0 : largest;
    for (int64_t k = 0; k < classes(); ++k) {
      const double v = std::isinf(row[k]) ? row[k] : std::max(-kLargest, row[k] - shift);
      scratch[i * classes() + k] = static_cast<float>(v);
    }
  }
  return scratch;
}

}  // namespace labelsmooth::compare
