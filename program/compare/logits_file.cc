// SPDX-License-Identifier: MIT
#include "compare/logits_file.h"

#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::min
#include <cmath>      // std::abs, std::isinf, std::log
#include <limits>     // std::numeric_limits
#include <mutex>      // std::mutex

#include "arrays.h"
#include "parallel.h"
#include "storage.h"

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
  // All rows by all cores; the first that is wrong is then looked at for what it has wrong.
  const auto rows = static_cast<int64_t>(labels.rows.size());
  std::mutex mutex;
  int64_t first_wrong = rows;
  parallel_for(rows, rows * classes(), [&](int64_t begin, int64_t end) {
    std::vector<double> row(classes());
    int64_t i = begin;
    while (i < end && is_good(labels.rows[i], labels.labels[i], row)) ++i;
    const std::lock_guard lock(mutex);
    if (i < end) first_wrong = std::min(first_wrong, i);
  });
  if (first_wrong < rows) refuse_row(labels.rows[first_wrong], labels.labels[first_wrong]);
}

// The row as the file has it.
void LogitsFile::widen(int64_t row, std::span<double> to) const {
  const int64_t start = view_.index(row, 0);
  with_storage(view_.dtype, [&]<class S>() {
    const S* from = static_cast<const S*>(view_.data) + start;
    for (int64_t k = 0; k < classes(); ++k) to[k] = load<double>(from[k * view_.class_stride]);
  });
}

bool LogitsFile::is_good_value(double v) const {
  return probs_ ? v >= 0 && v <= 1 + tolerance(view_.dtype)
                : std::abs(v) <= kLargest || v == -std::numeric_limits<double>::infinity();
}

bool LogitsFile::is_good(int64_t row, int64_t label, std::span<double> scratch) const {
  if (label < 0 || label >= classes()) return false;
  widen(row, scratch);
  bool good = true;
  double sum = 0;
  for (const double v : scratch) {
    good &= is_good_value(v);
    sum += v;
  }
  const bool possible = probs_ ? scratch[label] != 0 : !std::isinf(scratch[label]);
  return good && possible && (!probs_ || std::abs(sum - 1) <= tolerance(view_.dtype));
}

void LogitsFile::refuse_row(int64_t row, int64_t label) const {
  if (label < 0 || label >= classes()) {
    throw Error(
        labels_.file,
        fmt::format("{} in row {} found, 0 to {} is allowed for {}", label, row, classes() - 1, file_), row);
  }
  std::vector<double> values(classes());
  widen(row, values);
  double sum = 0;
  for (const double v : values) {
    if (!is_good_value(v)) {
      throw Error(file_,
                  fmt::format("{} in row {} found, {}", v, row,
                              probs_ ? "probabilities from 0 to 1 are allowed"
                                     : "finite values in the range of f32 and -inf are allowed"),
                  row);
    }
    sum += v;
  }
  if (probs_ && std::abs(sum - 1) > tolerance(view_.dtype))
    throw Error(file_, fmt::format("row {} sums to {}, probabilities sum to 1", row, sum), row);
  throw Error(file_,
              fmt::format("label {} of row {} has {}, its NLL is infinite", label, row,
                          probs_ ? "probability 0" : "logit -inf"),
              row);
}

LogitBlocks LogitsFile::blocks() const {
  return {classes(), [this](int64_t begin, int64_t end, std::vector<double>& scratch) {
            return read(begin, end, scratch);
          }};
}

Logits LogitsFile::read(int64_t begin, int64_t end, std::vector<double>& scratch) const {
  const int64_t first = labels_.rows[begin], count = end - begin;
  const bool adjacent = labels_.rows[end - 1] - first == count - 1;
  const bool plain = view_.dtype == DType::f32 && !array_.fortran_order && !probs_;
  if (plain && adjacent) return {static_cast<const float*>(view_.data) + first * classes(), count, classes()};
  scratch.resize(static_cast<size_t>(count * classes()));
  for (int64_t i = 0; i < count; ++i) {
    const std::span<double> row = std::span(scratch).subspan(i * classes(), classes());
    widen(labels_.rows[begin + i], row);
    if (!probs_) continue;
    for (double& p : row) p = std::log(p);
  }
  return {static_cast<const double*>(scratch.data()), count, classes()};
}

}  // namespace labelsmooth::compare
