// SPDX-License-Identifier: MIT
#include "smooth/targets.h"

#include <algorithm>   // std::max, std::min, std::transform
#include <cstddef>     // std::byte, size_t
#include <cstring>     // std::memcpy
#include <functional>  // std::function
#include <span>        // std::span

#include "io/npy.h"
#include "random.h"

namespace labelsmooth {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kMemoBytes = size_t{1} << 24;

// The target rows by label, rounded to `dtype`; remembered where all of them are small.
class TargetRows {
 public:
  TargetRows(const LabelRule& rule, DType dtype)
      : rule_(rule),
        dtype_(dtype),
        remembers_(static_cast<size_t>(rule.classes * rule.classes) * size_bytes(dtype) <= kMemoBytes),
        rows_(remembers_ ? static_cast<size_t>(rule.classes) : 1) {}

  std::span<const std::byte> of(int64_t label) {
    std::vector<std::byte>& row = rows_[remembers_ ? label : 0];
    if (!remembers_ || row.empty()) {
      const std::vector<double> q = target(rule_.smoothing.at(label), rule_.classes, label);
      row.resize(q.size() * size_bytes(dtype_));
      if (dtype_ == DType::f64) {
        std::memcpy(row.data(), q.data(), row.size());
      } else {
        std::transform(q.begin(), q.end(), reinterpret_cast<float*>(row.data()),
                       [](double value) { return static_cast<float>(value); });
      }
    }
    return row;
  }

 private:
  const LabelRule& rule_;
  const DType dtype_;
  const bool remembers_;
  std::vector<std::vector<std::byte>> rows_;
};

void write_rows(io::NewNpy& file, int64_t rows, size_t row_bytes, Progress& progress,
                const std::function<void(int64_t row, std::byte* out)>& fill) {
  const auto piece_rows = static_cast<int64_t>(std::max<size_t>(kPieceBytes / row_bytes, 1));
  std::vector<std::byte> piece(static_cast<size_t>(std::min(piece_rows, rows)) * row_bytes);
  for (int64_t begin = 0; begin < rows; begin += piece_rows) {
    const int64_t count = std::min(piece_rows, rows - begin);
    for (int64_t i = 0; i < count; ++i) fill(begin + i, piece.data() + static_cast<size_t>(i) * row_bytes);
    file.write(std::span(piece).first(static_cast<size_t>(count) * row_bytes));
    progress.add(static_cast<double>(count));
  }
  file.commit();
}

// A class with the prior's probability, u in [0, 1). Both sums add in the same order, so `passed` gets to
// `mass`.
int64_t pick(const Rows& prior, double u) {
  double mass = 0;
  for (int64_t k = 0; k < prior.classes; ++k) mass += prior.real(0, k);
  int64_t picked = 0;
  for (double passed = prior.real(0, 0); passed <= u * mass;) passed += prior.real(0, ++picked);
  return picked;
}

int64_t sampled_label(const LabelRule& rule, int64_t label, const Draw& random) {
  if (random.uniform(0) >= rule.smoothing.amount) return label;
  const auto classes = static_cast<uint32_t>(rule.classes);
  if (rule.smoothing.rule == Rule::uniform) {
    const Prior prior = rule.smoothing.at(label).prior;
    return prior.empty() ? random.below(classes, 1) : pick(prior.rows, random.uniform(1));
  }
  const int64_t other = random.below(classes - 1, 1);
  return other < label ? other : other + 1;
}

}  // namespace

void check(const LabelRule& rule) {
  if (rule.smoothing.prior.kind != Prior::Kind::by_label) {
    affine(rule.smoothing, rule.classes);
    return;
  }
  for (int64_t y = 0; y < rule.classes; ++y) {
    try {
      affine(rule.smoothing.at(y), rule.classes);
    } catch (const Error& error) {  // of the row as a prior
      throw Error("matrix", "row " + std::to_string(y) + ": " + error.found, y);
    }
  }
}

int64_t check(const Labels& labels, int64_t classes) {
  int64_t counted = 0;
  for (int64_t row = 0; row < labels.values.size; ++row) {
    if (labels.ignored(row)) continue;
    const int64_t label = labels.values.label(row);
    if (label < 0 || label >= classes) {
      throw Error("labels",
                  "row " + std::to_string(row) + " has " + std::to_string(label) + ", 0 to " +
                      std::to_string(classes - 1) + " and the ignored " +
                      std::to_string(labels.ignore_index) + " are allowed",
                  row);
    }
    ++counted;
  }
  return counted;
}

void write_targets(const std::string& path, DType dtype, const Labels& labels, const LabelRule& rule,
                   Progress& progress) {
  std::vector<int64_t> shape = labels.shape;
  shape.push_back(rule.classes);
  io::NewNpy file(path, dtype, shape);
  TargetRows targets(rule, dtype);
  const size_t row_bytes = static_cast<size_t>(rule.classes) * size_bytes(dtype);
  write_rows(file, labels.values.size, row_bytes, progress, [&](int64_t row, std::byte* out) {
    if (labels.ignored(row)) {
      std::memset(out, 0, row_bytes);
    } else {
      std::memcpy(out, targets.of(labels.values.label(row)).data(), row_bytes);
    }
  });
}

int64_t write_sampled(const std::string& path, const Labels& labels, const LabelRule& rule, uint64_t seed,
                      Progress& progress) {
  io::NewNpy file(path, DType::i64, labels.shape);
  int64_t changed = 0;
  write_rows(file, labels.values.size, sizeof(int64_t), progress, [&](int64_t row, std::byte* out) {
    const int64_t label = labels.values.label(row);
    int64_t sampled = label;
    if (!labels.ignored(row)) {
      // Epoch 0: trainings that sample their labels count from 1.
      sampled = sampled_label(rule, label, draw(seed, Stream::sampled, 0, static_cast<uint64_t>(row)));
    }
    changed += sampled != label;
    std::memcpy(out, &sampled, sizeof sampled);
  });
  return changed;
}

}  // namespace labelsmooth
