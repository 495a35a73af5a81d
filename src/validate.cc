// SPDX-License-Identifier: MIT
#include "validate.h"

#include <algorithm>  // std::equal, std::max, std::min, std::sort
#include <cmath>      // std::isfinite
#include <cstdlib>    // std::abs
#include <string>     // std::to_string
#include <vector>     // std::vector

namespace labelsmooth {
namespace {

std::string text(int64_t value) { return std::to_string(value); }

// Counts that later code multiplies: none may pass 2^62.
int64_t product(const char* argument, int64_t x, int64_t y) {
  constexpr int64_t kMost = int64_t{1} << 62;
  if (x != 0 && y > kMost / x)
    throw Error(argument, text(x) + " times " + text(y) + " elements are too many");
  return x * y;
}

template <class Void>
void check_shape(const char* argument, const View<Void>& view) {
  if (view.dtype != DType::f32 && view.dtype != DType::f64) {
    throw Error(argument, std::string("have type ") + name(view.dtype) + ", f32 and f64 are allowed");
  }
  if (view.outer < 0 || view.classes < 0 || view.inner < 0) {
    throw Error(argument, "shape (" + text(view.outer) + ", " + text(view.classes) + ", " + text(view.inner) +
                              ") found, no negative size is allowed");
  }
  const int64_t elements = product(argument, product(argument, view.outer, view.inner), view.classes);
  if (view.data == nullptr && elements > 0) throw Error(argument, "null data");
}

// An axis that moves: sizes of 1 do not, whatever their stride.
struct Axis {
  int64_t count, stride;
};
template <class Void>
std::vector<Axis> axes(const View<Void>& view) {
  std::vector<Axis> list = {
      {view.outer, view.outer_stride}, {view.classes, view.class_stride}, {view.inner, view.inner_stride}};
  std::erase_if(list, [](const Axis& axis) { return axis.count == 1; });
  return list;
}

// Bytes touched: [first, last).
struct Extent {
  uintptr_t first, last;
};
template <class Void>
Extent extent(const View<Void>& view) {
  const auto size = static_cast<int64_t>(size_bytes(view.dtype));
  int64_t low = 0, high = 0;
  for (const Axis& axis : axes(view)) (axis.stride < 0 ? low : high) += (axis.count - 1) * axis.stride * size;
  const auto data = reinterpret_cast<uintptr_t>(view.data);
  return {data + static_cast<uintptr_t>(low), data + static_cast<uintptr_t>(high + size)};
}

// Two elements at one address would be written twice.
void check_distinct(const Gradient& dlogits) {
  std::vector<Axis> list = axes(dlogits);
  for (Axis& axis : list) axis.stride = std::abs(axis.stride);
  std::sort(list.begin(), list.end(), [](const Axis& x, const Axis& y) { return x.stride < y.stride; });
  int64_t reach = 0;
  for (const Axis& axis : list) {
    if (axis.stride <= reach) throw Error("dlogits", "strides that put two elements at one address found");
    reach += (axis.count - 1) * axis.stride;
  }
}

bool same_memory(const Logits& logits, const Gradient& dlogits) {
  const auto equal = [](const Axis& x, const Axis& y) { return x.count == y.count && x.stride == y.stride; };
  const std::vector<Axis> x = axes(logits), y = axes(dlogits);
  return logits.data == dlogits.data && std::equal(x.begin(), x.end(), y.begin(), y.end(), equal);
}

void check_class_weights(const Vector& weights, int64_t total_classes) {
  if (weights.empty()) return;
  if (weights.data == nullptr) throw Error("class_weights", "null data");
  if (!is_float(weights.dtype)) {
    throw Error("class_weights",
                std::string("have type ") + name(weights.dtype) + ", floating types are allowed");
  }
  if (weights.size != total_classes) {
    throw Error("class_weights",
                text(weights.size) + " found, there are " + text(total_classes) + " classes");
  }
  for (int64_t k = 0; k < total_classes; ++k) {
    if (!std::isfinite(weights.real(k))) {
      throw Error("class_weights", "class " + text(k) + " has " + std::to_string(weights.real(k)) +
                                       ", finite values are allowed");
    }
  }
}

}  // namespace

void check_logits(const Logits& logits, bool whole) {
  check_shape("logits", logits);
  if (logits.total_classes < 1)
    throw Error("logits", text(logits.total_classes) + " classes found, at least 1 is needed");
  if (logits.class_begin < 0 || logits.classes > logits.total_classes - logits.class_begin) {
    throw Error("logits", "shard of " + text(logits.classes) + " classes from " + text(logits.class_begin) +
                              " on found, [0, " + text(logits.total_classes) + ") is allowed");
  }
  if (whole && logits.classes != logits.total_classes) {
    throw Error("logits", "a shard of " + text(logits.classes) + " of " + text(logits.total_classes) +
                              " classes found; summarize, merge_shards and finish take shards");
  }
}

LabelCount check_labels(const Vector& labels, int64_t rows, int64_t total_classes, const Options& options) {
  check_class_weights(options.class_weights, total_classes);
  if (is_float(labels.dtype)) {
    throw Error("labels", std::string("have type ") + name(labels.dtype) + ", integers are allowed");
  }
  check_size("labels", labels.size, rows);
  if (labels.data == nullptr && rows > 0) throw Error("labels", "null data");

  LabelCount count;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t label = labels.label(row);
    if (label == options.ignore_index) continue;
    if (label < 0 || label >= total_classes) {
      std::string allowed = "0 to " + text(total_classes - 1);
      if (options.ignore_index) allowed += " and the ignored " + text(*options.ignore_index);
      throw Error("labels", "row " + text(row) + " has " + text(label) + ", " + allowed + " are allowed",
                  row);
    }
    ++count.counted;
    count.weight += options.class_weights.empty() ? 1 : options.class_weights.real(label);
  }
  if (options.empty == Empty::error && options.reduction == Reduction::mean && count.weight == 0) {
    throw Error("labels", count.counted == 0
                              ? "no row counts, so there is no mean"
                              : "the counted rows' class weights sum to 0, so there is no mean");
  }
  return count;
}

void check_gradient(const Logits& logits, const Gradient& dlogits, const Options& options,
                    const Upstream& upstream) {
  check_shape("dlogits", dlogits);
  if (dlogits.dtype != logits.dtype) {
    throw Error("dlogits",
                std::string("have type ") + name(dlogits.dtype) + ", the logits' is " + name(logits.dtype));
  }
  if (dlogits.outer != logits.outer || dlogits.classes != logits.classes || dlogits.inner != logits.inner) {
    throw Error("dlogits", "shape (" + text(dlogits.outer) + ", " + text(dlogits.classes) + ", " +
                               text(dlogits.inner) + ") found, the logits' is (" + text(logits.outer) + ", " +
                               text(logits.classes) + ", " + text(logits.inner) + ")");
  }
  if (logits.rows() > 0 && logits.classes > 0) {
    check_distinct(dlogits);
    const Extent read = extent(logits), written = extent(dlogits);
    if (!same_memory(logits, dlogits) && read.first < written.last && written.first < read.last) {
      throw Error("dlogits",
                  "interleave or overlap with the logits; the same memory and strides, or none of it, "
                  "are allowed");
    }
  }
  if (upstream.rows.empty()) return;
  if (options.reduction != Reduction::none) throw Error("upstream", "rows are for the reduction none");
  if (!is_float(upstream.rows.dtype)) throw Error("upstream", "floating types are allowed");
  check_size("upstream", upstream.rows.size, logits.rows());
  if (upstream.rows.data == nullptr) throw Error("upstream", "null data");
}

void check_size(const char* argument, int64_t size, int64_t rows) {
  if (size != rows) throw Error(argument, text(size) + " found, there are " + text(rows) + " rows");
}

void check_parts(const Parts& parts, int64_t rows) {
  const auto check = [&](const char* argument, const auto& part) {
    if (!part.empty()) check_size(argument, static_cast<int64_t>(part.size()), rows);
  };
  check("parts.loss", parts.loss);
  check("parts.nll", parts.nll);
  check("parts.lse", parts.lse);
  check("parts.confidence", parts.confidence);
  check("parts.entropy", parts.entropy);
  check("parts.argmax", parts.argmax);
}

std::vector<Shard> check_tiling(std::span<const Shard> shards, int64_t total_classes, int64_t rows) {
  std::vector<Shard> sorted(shards.begin(), shards.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Shard& x, const Shard& y) {
    return x.class_begin != y.class_begin ? x.class_begin < y.class_begin : x.classes < y.classes;
  });
  int64_t covered = 0;
  for (const Shard& shard : sorted) {
    check_size("shards", static_cast<int64_t>(shard.summaries.size()), rows);
    if (shard.classes < 0) throw Error("shards", "a shard of " + text(shard.classes) + " classes found");
    if (shard.classes == 0) continue;
    if (shard.class_begin != covered) {
      throw Error("shards", std::string(shard.class_begin < covered ? "overlap" : "gap") + " between class " +
                                text(std::min(shard.class_begin, covered)) + " and " +
                                text(std::max(shard.class_begin, covered)) + ", a tiling is needed");
    }
    if (shard.classes > total_classes - covered) {
      throw Error("shards",
                  "class " + text(covered + shard.classes - 1) + " found, there are " + text(total_classes));
    }
    covered += shard.classes;
  }
  if (covered != total_classes) {
    throw Error("shards", text(covered) + " classes covered, there are " + text(total_classes));
  }
  return sorted;
}

void check_summaries(std::span<const RowSummary> summaries, int64_t total_classes, const Vector& labels,
                     const Options& options) {
  for (int64_t row = 0; row < static_cast<int64_t>(summaries.size()); ++row) {
    if (labels.label(row) == options.ignore_index) continue;
    const RowSummary& summary = summaries[row];
    if (summary.classes != total_classes) {
      throw Error(
          "summaries",
          "row " + text(row) + " covers " + text(summary.classes) + " of " + text(total_classes) + " classes",
          row);
    }
    if (options.smoothing.amount != 0 && summary.prior_norm == 0) {
      throw Error("summaries", "row " + text(row) + " was summarized without smoothing", row);
    }
  }
}

}  // namespace labelsmooth
