// SPDX-License-Identifier: MIT
// A call of the loss as plain numbers: built into arguments of any type and layout, run through any entry
// point.
#pragma once

#include <gtest/gtest.h>

#include <cmath>    // std::abs
#include <cstdint>  // int64_t
#include <cstring>  // std::memcmp
#include <limits>   // std::numeric_limits
#include <ostream>  // std::ostream
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"
#include "storage.h"

namespace labelsmooth {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Numbers as they lie in memory.
struct Storage {
  Storage(DType dtype, size_t size, double fill = 0) : dtype(dtype), bytes(size * size_bytes(dtype)) {
    for (size_t i = 0; i < size; ++i) set(static_cast<int64_t>(i), fill);
  }
  Storage(DType dtype, const std::vector<double>& values) : Storage(dtype, values.size()) {
    for (size_t i = 0; i < values.size(); ++i) set(static_cast<int64_t>(i), values[i]);
  }
  int64_t size() const { return static_cast<int64_t>(bytes.size() / size_bytes(dtype)); }
  Vector vector() const { return {bytes.data(), dtype, size()}; }
  double get(int64_t i) const { return vector().real(i); }
  void set(int64_t i, double value) {
    with_storage(dtype, [&]<class S>() { store(value, reinterpret_cast<S*>(bytes.data())[i]); });
  }

  DType dtype;
  std::vector<std::byte> bytes;
};

enum class Layout { rows, middle, strided, reversed, padded };
enum class Write { separate, in_place, accumulate };

struct LossCase {
  std::string name;
  int64_t outer = 3, classes = 0, inner = 2;
  int64_t rows() const { return outer * inner; }
  DType dtype = DType::f32, reals = DType::f64;  // of the logits, of everything else
  std::vector<double> logits;                    // (rows, classes)

  Target::Kind kind = Target::Kind::labels;
  bool dense_has_labels = false;
  std::vector<int64_t> labels, second;
  std::vector<double> weight, dense;

  Options options;  // its numbers; the arrays are here, and used where not empty
  Prior::Kind prior_kind = Prior::Kind::uniform;
  std::vector<double> prior, amount_by_class, amount_by_row, class_weights, row_weights;
  std::vector<uint8_t> mask;  // (classes,) or (rows, classes)

  Layout layout = Layout::rows;
  Write write = Write::separate;
  double upstream = 1;
  std::vector<double> upstream_rows;
  bool asks_entropy = true;   // without, long rows keep their exps for the gradient
  std::vector<int64_t> cuts;  // of the opened pipeline, from 0 to classes; none: the one call
};

inline void showValue(const LossCase& c, std::ostream& out) { out << c.name; }  // for RapidCheck

struct Outcome {
  Result result;
  std::vector<double> loss, nll, lse, confidence, entropy;
  std::vector<int64_t> argmax;
  std::vector<uint8_t> correct;
  std::vector<double> gradient;  // (rows, classes)
  std::vector<std::byte> bytes;  // of the gradient's memory
};

// ---- Building the arguments ----

constexpr int64_t kPadding = 3;

/// Where element (row, class) lies, over memory of `span` elements that begins `origin` before element 0.
struct Placement {
  Rows view;  // of null data
  int64_t origin = 0, span = 0;
};
inline Placement place(const LossCase& c, Layout layout) {
  Rows view(nullptr, c.dtype, c.outer, c.classes, c.inner);
  if (layout != Layout::middle) {
    view.class_stride = layout == Layout::strided ? 2 : layout == Layout::reversed ? -1 : 1;
    view.inner_stride = layout == Layout::strided  ? 2 * c.classes + 3
                        : layout == Layout::padded ? c.classes + kPadding
                                                   : c.classes;
    view.outer_stride = view.inner_stride * c.inner + (layout == Layout::strided ? 5 : 0);
    if (layout == Layout::padded) view.padding = kPadding;
  }
  Placement result = {view, 0, c.outer * std::abs(view.outer_stride)};
  if (layout == Layout::reversed && c.outer > 0) {
    result.view.outer_stride *= -1;
    result.origin = (c.outer - 1) * view.outer_stride + c.classes - 1;
  }
  return result;
}

template <class Void, class Bytes>
View<Void> view_of(const Placement& placement, Bytes* bytes) {
  const Rows& at = placement.view;
  View<Void> view(bytes + placement.origin * static_cast<int64_t>(size_bytes(at.dtype)), at.dtype, at.outer,
                  at.classes, at.inner);
  view.outer_stride = at.outer_stride, view.class_stride = at.class_stride;
  view.inner_stride = at.inner_stride, view.padding = at.padding;
  return view;
}

/// The classes [begin, end) of a view, as a shard of it; the last keeps the padding.
template <class Void>
View<Void> cut(View<Void> view, int64_t begin, int64_t end) {
  using Byte = std::conditional_t<std::is_const_v<Void>, const std::byte, std::byte>;
  const auto size = static_cast<int64_t>(size_bytes(view.dtype));
  if (view.data != nullptr) view.data = static_cast<Byte*>(view.data) + begin * view.class_stride * size;
  view.padding = end == view.classes ? view.padding : 0;
  view.total_classes = view.classes;
  view.class_begin = begin;
  view.classes = end - begin;
  return view;
}

/// The arrays of a case in memory, and the library's arguments over them.
class Arguments {
 public:
  explicit Arguments(const LossCase& c)
      : case_(c),
        reals_({{c.reals, c.weight},
                {c.reals, c.dense},
                {c.reals, c.prior},
                {c.reals, c.amount_by_class},
                {c.reals, c.amount_by_row},
                {c.reals, c.class_weights},
                {c.reals, c.row_weights},
                {c.reals, c.upstream_rows}}) {}

  Target target(int64_t begin, int64_t end) const {
    if (case_.kind == Target::Kind::labels) return Target(case_.labels);
    if (case_.kind == Target::Kind::mixed) return mixed(case_.labels, case_.second, reals_[0].vector());
    return labelsmooth::dense(cut(like_logits(reals_[1].bytes.data(), case_.reals), begin, end),
                              case_.dense_has_labels ? Vector(case_.labels) : Vector());
  }
  Options options(int64_t begin, int64_t end) const {
    Options options = case_.options;
    const int64_t classes = case_.classes;
    Prior& prior = options.smoothing.prior;
    if (case_.prior_kind == Prior::Kind::shared) prior = reals_[2].vector();
    if (case_.prior_kind == Prior::Kind::by_label)
      prior = {case_.prior_kind, {reals_[2].bytes.data(), case_.reals, classes, classes, 1}};
    if (case_.prior_kind == Prior::Kind::by_row)
      prior = {case_.prior_kind, cut(like_logits(reals_[2].bytes.data(), case_.reals), begin, end)};
    options.smoothing.amount_by_class = reals_[3].vector();
    options.smoothing.amount_by_row = reals_[4].vector();
    options.class_weights = reals_[5].vector();
    options.row_weights = reals_[6].vector();
    if (case_.mask.empty()) return options;
    const bool shared = static_cast<int64_t>(case_.mask.size()) == classes;
    options.mask = shared ? Rows(case_.mask.data(), 1, classes)
                          : cut(like_logits(case_.mask.data(), DType::u8), begin, end);
    return options;
  }
  Upstream upstream() const { return {case_.upstream, reals_[7].vector(), case_.write == Write::accumulate}; }

 private:
  // Contiguous rows, whatever the layout of the logits.
  Rows like_logits(const void* data, DType dtype) const {
    Rows view(data, dtype, case_.outer, case_.classes, case_.inner);
    view.class_stride = 1, view.inner_stride = case_.classes, view.outer_stride = case_.inner * case_.classes;
    return view;
  }

  const LossCase& case_;
  std::vector<Storage> reals_;
};

// ---- Running ----

/// What the gradient's memory holds before an accumulating call.
inline double before(int64_t i) { return static_cast<double>(i % 5 - 2) / 4; }

/// Throws what the library throws.
inline Outcome run(const LossCase& c) {
  const int64_t rows = c.rows();
  const Placement placement = place(c, c.layout);
  const auto at = [&](int64_t row, int64_t k) { return placement.origin + placement.view.index(row, k); };
  Storage logits(c.dtype, static_cast<size_t>(placement.span), kNan);  // what is not a logit poisons
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < c.classes; ++k) logits.set(at(row, k), c.logits[row * c.classes + k]);
  }
  Storage separate(c.dtype, static_cast<size_t>(placement.span), c.write == Write::accumulate ? 0 : 99);
  if (c.write == Write::accumulate) {
    for (int64_t i = 0; i < separate.size(); ++i) separate.set(i, before(i));
  }
  Storage& written = c.write == Write::in_place ? logits : separate;
  const Storage old = written;
  const auto z = view_of<const void>(placement, static_cast<const std::byte*>(logits.bytes.data()));
  const auto dz = view_of<void>(placement, written.bytes.data());

  Outcome out;
  for (auto* part : {&out.loss, &out.nll, &out.lse, &out.confidence}) part->assign(rows, kNan);
  if (c.asks_entropy) out.entropy.assign(rows, kNan);
  out.argmax.assign(rows, -7);
  const bool has_labels = c.kind != Target::Kind::dense || c.dense_has_labels;
  out.correct.assign(has_labels ? rows : 0, 7);
  const Parts parts = {out.loss, out.nll, out.lse, out.confidence, out.entropy, out.argmax, out.correct};

  const Arguments arguments(c);
  const Target target = arguments.target(0, c.classes);
  const Options options = arguments.options(0, c.classes);
  if (c.cuts.empty()) {
    const Result alone = cross_entropy(z, target, options);
    out.result = cross_entropy(z, target, dz, options, parts, arguments.upstream());
    EXPECT_EQ(std::memcmp(&alone.loss, &out.result.loss, sizeof(double)), 0) << "with and without gradient";
  } else {
    std::vector<std::vector<RowSummary>> summaries;
    std::vector<Shard> shards;
    for (size_t i = 0; i + 1 < c.cuts.size(); ++i) {
      const int64_t begin = c.cuts[i], end = c.cuts[i + 1];
      summaries.emplace_back(rows);
      summarize(cut(z, begin, end), arguments.target(begin, end), arguments.options(begin, end),
                summaries.back());
      shards.insert(shards.begin(), {begin, end - begin, {}});  // the last first: any order will do
    }
    for (size_t i = 0; i < shards.size(); ++i) shards[i].summaries = summaries[shards.size() - 1 - i];
    std::vector<RowSummary> merged(rows);
    merge_shards(shards, c.classes, merged);
    out.result = finish(merged, c.classes, target, options, parts);
    for (size_t i = 0; i + 1 < c.cuts.size(); ++i) {
      const int64_t begin = c.cuts[i], end = c.cuts[i + 1];
      gradient(cut(z, begin, end), arguments.target(begin, end), merged, arguments.options(begin, end),
               cut(dz, begin, end), arguments.upstream());
    }
  }

  std::vector<bool> inside(placement.span);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < c.classes; ++k) {
      inside[at(row, k)] = true;
      out.gradient.push_back(written.get(at(row, k)));
      if (c.write == Write::accumulate) out.gradient.back() -= before(at(row, k));
    }
    for (int64_t k = c.classes; k < c.classes + placement.view.padding; ++k) {
      inside[at(row, k)] = true;
      EXPECT_EQ(written.get(at(row, k)), c.write == Write::accumulate ? before(at(row, k)) : 0) << "padding";
    }
  }
  const size_t size = size_bytes(c.dtype);
  for (int64_t i = 0; i < written.size(); ++i) {
    if (inside[i]) continue;
    EXPECT_EQ(std::memcmp(&written.bytes[i * size], &old.bytes[i * size], size), 0) << "written between rows";
  }
  out.bytes = written.bytes;
  return out;
}

}  // namespace labelsmooth
