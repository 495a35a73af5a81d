// SPDX-License-Identifier: MIT
#include "validate.h"

#include <algorithm>  // std::equal, std::max, std::min, std::sort
#include <cmath>      // std::isfinite
#include <cstdlib>    // std::abs
#include <span>       // std::span
#include <string>     // std::to_string
#include <vector>     // std::vector

#include "storage.h"

namespace labelsmooth {
namespace {

std::string text(int64_t value) { return std::to_string(value); }

// Sizes and strides that later code multiplies and adds: none may pass 2^57, so that the bytes of three axes
// fit 64 bits.
constexpr int64_t kMost = int64_t{1} << 57;
int64_t product(const char* argument, int64_t x, int64_t y) {
  if (x != 0 && y > kMost / x)
    throw Error(argument, text(x) + " times " + text(y) + " elements are too many");
  return x * y;
}

// Of an axis that moves; one of size 1 may have any.
void check_stride(const char* argument, int64_t count, int64_t stride) {
  if (count > 1 && (stride > kMost / (count - 1) || stride < -(kMost / (count - 1))))
    throw Error(argument, "strides that pass the address space found");
}

std::string shape_text(const Rows& view) {
  return "(" + text(view.outer) + ", " + text(view.classes) + ", " + text(view.inner) + ")";
}

// An axis that moves: sizes of 1 do not, whatever their stride.
struct Axis {
  int64_t count, stride;
};
std::vector<Axis> axes(const Rows& view) {
  std::vector<Axis> list = {{view.outer, view.outer_stride},
                            {view.classes + view.padding, view.class_stride},
                            {view.inner, view.inner_stride}};
  std::erase_if(list, [](const Axis& axis) { return axis.count == 1; });
  return list;
}

// Bytes touched: [first, last).
struct Extent {
  uintptr_t first, last;
};
Extent extent(const Rows& view) {
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

void check_unit(const char* argument, const Vector& vector, bool by_row) {
  for (int64_t i = 0; i < vector.size; ++i) {
    const double value = vector.real(i);
    if (value >= 0 && value <= 1) continue;
    throw Error(
        argument,
        (by_row ? "row " : "class ") + text(i) + " has " + std::to_string(value) + ", 0 to 1 is allowed",
        by_row ? i : -1);
  }
}

void check_label_type(const char* argument, const Vector& labels, int64_t rows) {
  if (is_float(labels.dtype))
    throw Error(argument, std::string("have type ") + name(labels.dtype) + ", integers are allowed");
  check_size(argument, labels.size, rows);
  if (labels.data == nullptr && rows > 0) throw Error(argument, "null data");
}

// Every label is a class; `other`, where given, is the mixed second: a row counts unless both are ignored.
void check_labels(const Vector& labels, const Vector& other, int64_t total_classes, const Options& options) {
  const auto ignored = [&](int64_t label) { return options.ignore_index && label == *options.ignore_index; };
  const auto allowed = [&](int64_t label) { return label >= 0 && label < total_classes; };
  const auto check = [&](int64_t row, int64_t label) {
    if (allowed(label) || (ignored(label) && (other.empty() || ignored(other.label(row))))) return;
    std::string what = "0 to " + text(total_classes - 1);
    if (options.ignore_index) what += " and the ignored " + text(*options.ignore_index);
    if (!other.empty()) what += " (for both labels)";
    throw Error("labels", "row " + text(row) + " has " + text(label) + ", " + what + " are allowed", row);
  };
  const uint64_t last = static_cast<uint64_t>(total_classes) - 1;
  for_label_blocks(labels, [&](int64_t begin, std::span<const int64_t> block) {
    uint64_t signs = 0;  // of label and last - label, since old vectors cannot compare 64 bits
    for (const int64_t label : block)
      signs |= static_cast<uint64_t>(label) | (last - static_cast<uint64_t>(label));
    const bool all = signs >> 63 == 0;
    for (size_t i = 0; !all && i < block.size(); ++i) check(begin + static_cast<int64_t>(i), block[i]);
  });
}

void check_prior(const Target& target, int64_t rows, int64_t total_classes, const Options& options,
                 const Logits* logits) {
  const Prior& prior = options.smoothing.prior;
  if (prior.empty()) return;
  if (options.smoothing.rule != Rule::uniform) throw Error("prior", "only the rule uniform takes a prior");
  const auto counts = [&](int64_t row) {
    return target.labels.empty() || target.labels.label(row) != options.ignore_index;
  };
  if (prior.kind == Prior::Kind::shared) {
    check_floats("prior", prior.rows);
    affine(options.smoothing.at(0), total_classes);  // which checks it
  } else if (prior.kind == Prior::Kind::by_label) {
    if (target.kind != Target::Kind::labels)
      throw Error("prior", "by label needs one label a row; mixed and dense targets take one by row");
    check_floats("prior", prior.rows);
    if (prior.rows.rows() != total_classes || prior.rows.classes != total_classes) {
      throw Error("prior", "shape " + shape_text(prior.rows) + " found, by label it is (" +
                               text(total_classes) + ", " + text(total_classes) + ")");
    }
    std::vector<bool> seen(static_cast<size_t>(total_classes));
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t label = target.labels.label(row);
      if (!counts(row) || seen[label]) continue;
      seen[label] = true;
      check_prior_row(prior.rows, label, label);
    }
  } else if (logits != nullptr) {
    check_floats("prior", prior.rows);
    check_like("prior", prior.rows, *logits);
    for (int64_t row = 0; row < rows; ++row) {
      if (counts(row)) check_prior_row(prior.rows, row, row, logits->classes == total_classes);
    }
  }
}

void check_smoothing(const Target& target, int64_t rows, int64_t total_classes, const Smoothing& smoothing) {
  const Vector &by_class = smoothing.amount_by_class, &by_row = smoothing.amount_by_row;
  affine(smoothing.rule, smoothing.amount, total_classes);  // which checks them
  if ((smoothing.amount != 0) + !by_class.empty() + !by_row.empty() > 1)
    throw Error("smoothing", "one of amount, amount_by_class and amount_by_row is allowed");
  if (by_class.empty() && by_row.empty()) return;
  if (!by_class.empty() && target.kind != Target::Kind::labels)
    throw Error("amount_by_class", "needs one label a row; mixed and dense targets take amounts by row");
  if (smoothing.rule == Rule::others && total_classes == 1)
    throw Error("smoothing", "the rule others needs at least 2 classes, 1 found");
  check_reals("amount_by_class", by_class, total_classes, "classes");
  check_reals("amount_by_row", by_row, rows, "rows");
  check_unit("amount_by_class", by_class, false);
  check_unit("amount_by_row", by_row, true);
}

void check_mask(const Rows& mask, int64_t total_classes, const Options& options, const Logits* logits) {
  if (mask.data == nullptr) {
    if (mask.classes > 0) throw Error("mask", "null data");
    return;
  }
  if (options.support != Support::finite) throw Error("mask", "needs the support finite");
  if (mask.dtype != DType::u8)
    throw Error("mask", std::string("has type ") + name(mask.dtype) + ", u8 is allowed");
  check_shape("mask", mask);
  if (mask.rows() == 1 && mask.classes == total_classes) return;
  if (logits != nullptr) check_like("mask", mask, *logits);
}

void check_modifier(const char* argument, double value) {
  if (!(value >= 0) || !std::isfinite(value))
    throw Error(argument, std::to_string(value) + " found, finite values from 0 are allowed");
}

// The options that stand for themselves, and those that do not go together.
void check_options(const Target& target, const Options& options) {
  check_modifier("soft_cap", options.soft_cap);
  check_modifier("z_loss", options.z_loss);
  check_modifier("entropy_penalty", options.entropy_penalty);
  check_modifier("max_suppression", options.max_suppression);
  if (!(options.scale > 0) || !std::isfinite(options.scale))
    throw Error("scale", std::to_string(options.scale) + " found, finite values above 0 are allowed");
  const Smoothing& smoothing = options.smoothing;
  if (options.weighting != Weighting::per_term) {
    const char* weighting = options.weighting == Weighting::label ? "label" : "expected";
    if (target.kind != Target::Kind::labels)
      throw Error("weighting",
                  std::string(weighting) + " needs one label a row, mixed and dense targets take per_term");
    if (options.support == Support::finite)
      throw Error("weighting", std::string(weighting) + " needs the support all");
    if (options.weighting == Weighting::expected && !smoothing.prior.empty() &&
        smoothing.prior.kind != Prior::Kind::shared) {
      throw Error("weighting", "expected takes the uniform or a shared prior");
    }
  }
  if (options.support == Support::finite && smoothing.rule != Rule::uniform)
    throw Error("support", "finite is for the rule uniform, whose prior it divides by its sum");
  if (options.max_suppression != 0 && (!options.class_weights.empty() || !smoothing.prior.empty()))
    throw Error("max_suppression", "takes no class weights and the uniform prior only");
  if (options.denominator.kind == Denominator::weights) return;
  if (options.reduction != Reduction::mean) throw Error("denominator", "only the reduction mean divides");
  const double value = options.denominator.value;
  if (options.denominator.kind == Denominator::constant && (!(value > 0) || !std::isfinite(value)))
    throw Error("denominator", std::to_string(value) + " found, finite values above 0 are allowed");
}

}  // namespace

void check_shape(const char* argument, const Rows& view) {
  if (view.outer < 0 || view.classes < 0 || view.inner < 0 || view.padding < 0)
    throw Error(argument, "shape " + shape_text(view) + " found, no negative size is allowed");
  const int64_t in_memory = product(argument, view.classes, 1) + product(argument, view.padding, 1);
  const int64_t elements = product(argument, product(argument, view.outer, view.inner), in_memory);
  if (view.data == nullptr && elements > 0) throw Error(argument, "null data");
  if (elements == 0) return;
  check_stride(argument, view.outer, view.outer_stride);
  check_stride(argument, in_memory, view.class_stride);
  check_stride(argument, view.inner, view.inner_stride);
}

void check_floats(const char* argument, const Rows& view) {
  if (!is_float(view.dtype)) {
    throw Error(argument,
                std::string("have type ") + name(view.dtype) + ", f32, f64, f16 and bf16 are allowed");
  }
  check_shape(argument, view);
}

void check_like(const char* argument, const Rows& view, const Logits& logits) {
  if (view.outer == logits.outer && view.classes == logits.classes && view.inner == logits.inner) return;
  throw Error(argument, "shape " + shape_text(view) + " found, the logits' is " + shape_text(logits));
}

void check_reals(const char* argument, const Vector& vector, int64_t size, const char* of) {
  if (vector.empty()) return;
  if (vector.data == nullptr) throw Error(argument, "null data");
  if (!is_float(vector.dtype))
    throw Error(argument,
                std::string("have type ") + name(vector.dtype) + ", f32, f64, f16 and bf16 are allowed");
  if (vector.size != size)
    throw Error(argument, text(vector.size) + " found, there are " + text(size) + " " + of);
  for (int64_t i = 0; i < size; ++i) {
    if (std::isfinite(vector.real(i))) continue;
    const bool by_row = std::string(of) == "rows";
    throw Error(argument,
                (by_row ? "row " : "class ") + text(i) + " has " + std::to_string(vector.real(i)) +
                    ", finite values are allowed",
                by_row ? i : -1);
  }
}

bool overlap(const Rows& view, const Gradient& dlogits) {
  if (view.rows() == 0 || view.classes == 0) return false;
  const Extent read = extent(view), written = extent(dlogits);
  return read.first < written.last && written.first < read.last;
}

void check_logits(const Logits& logits, bool whole) {
  check_floats("logits", logits);
  if (logits.total_classes < 1 || logits.total_classes > kMost)
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

void check_target(const Target& target, int64_t rows, int64_t total_classes, const Options& options,
                  const Logits* logits) {
  check_options(target, options);
  check_reals("class_weights", options.class_weights, total_classes, "classes");
  if (logits != nullptr && logits->dtype != DType::f64) {
    for (int64_t k = 0; k < options.class_weights.size; ++k) {
      if (!std::isfinite(static_cast<float>(options.class_weights.real(k))))
        throw Error("class_weights", "class " + text(k) + " overflows the logits' type");
    }
  }
  check_reals("row_weights", options.row_weights, rows, "rows");
  if (target.kind == Target::Kind::dense) {
    check_floats("targets", target.dense);
    if (logits != nullptr) check_like("targets", target.dense, *logits);
    check_size("targets", target.dense.rows(), rows);
  }
  const bool mixed = target.kind == Target::Kind::mixed;
  if (mixed) check_label_type("labels", target.second, rows);  // before the first labels are read beside it
  if (target.kind != Target::Kind::dense || !target.labels.empty()) {
    check_label_type("labels", target.labels, rows);
    check_labels(target.labels, mixed ? target.second : Vector(), total_classes, options);
  }
  if (mixed) {
    check_labels(target.second, target.labels, total_classes, options);
    check_reals("weight", target.weight, rows, "rows");
    check_size("weight", target.weight.size, rows);
    check_unit("weight", target.weight, true);
  }
  check_smoothing(target, rows, total_classes, options.smoothing);
  check_prior(target, rows, total_classes, options, logits);
  check_mask(options.mask, total_classes, options, logits);
}

void check_gradient(const Logits& logits, const Gradient& dlogits, const Target& target,
                    const Options& options, const Upstream& upstream) {
  check_floats("dlogits", dlogits);
  if (dlogits.dtype != logits.dtype) {
    throw Error("dlogits",
                std::string("have type ") + name(dlogits.dtype) + ", the logits' is " + name(logits.dtype));
  }
  check_like("dlogits", dlogits, logits);
  if (logits.rows() > 0 && logits.classes + dlogits.padding > 0) {
    check_distinct(dlogits);
    const bool same = same_memory(logits, dlogits);
    if (!same && overlap(logits, dlogits)) {
      throw Error("dlogits",
                  "interleave or overlap with the logits; the same memory and strides, or none of it, "
                  "are allowed");
    }
    if (same && upstream.accumulate)
      throw Error("accumulate", "adds to a gradient, in the logits' memory there is none");
    const Prior& prior = options.smoothing.prior;
    if (target.kind == Target::Kind::dense && overlap(target.dense, dlogits))
      throw Error("dlogits", "overlap with the targets");
    if (!prior.empty() && overlap(prior.rows, dlogits)) throw Error("dlogits", "overlap with the prior");
    if (options.mask.data != nullptr && overlap(options.mask, dlogits))
      throw Error("dlogits", "overlap with the mask");
  }
  if (upstream.rows.empty()) return;
  if (options.reduction != Reduction::none) throw Error("upstream", "rows are for the reduction none");
  if (!is_float(upstream.rows.dtype)) throw Error("upstream", "f32, f64, f16 and bf16 are allowed");
  check_size("upstream", upstream.rows.size, logits.rows());
  if (upstream.rows.data == nullptr) throw Error("upstream", "null data");
}

void check_size(const char* argument, int64_t size, int64_t rows) {
  if (size != rows) throw Error(argument, text(size) + " found, there are " + text(rows) + " rows");
}

void check_parts(const Parts& parts, const Target& target, int64_t rows) {
  const auto check = [&](const char* argument, const auto& part) {
    if (!part.empty()) check_size(argument, static_cast<int64_t>(part.size()), rows);
  };
  check("parts.loss", parts.loss);
  check("parts.nll", parts.nll);
  check("parts.lse", parts.lse);
  check("parts.confidence", parts.confidence);
  check("parts.entropy", parts.entropy);
  check("parts.argmax", parts.argmax);
  check("parts.correct", parts.correct);
  if (!parts.correct.empty() && target.kind == Target::Kind::dense && target.labels.empty())
    throw Error("parts.correct", "needs the labels of the dense targets");
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

}  // namespace labelsmooth
