// SPDX-License-Identifier: MIT
#include "loss.h"

#include <algorithm>         // std::find
#include <initializer_list>  // std::initializer_list
#include <iterator>          // std::begin, std::end, std::distance

namespace labelsmooth::python {
namespace {

// Below this many elements the GIL costs more than it frees.
constexpr int64_t kWorthRelease = 4096;

// The position of `name` in the names of an enum.
template <class Enum>
Enum choice(const char* argument, const std::string& name, std::initializer_list<const char*> names) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<Enum>(std::distance(names.begin(), found));
  std::string allowed;
  for (const char* one : names) allowed += (allowed.empty() ? "" : ", ") + std::string(one);
  throw Error(argument, "'" + name + "' found; " + allowed + " are allowed");
}

template <class Call>
auto without_gil(int64_t elements, const Call& call) {
  if (elements < kWorthRelease) return call();
  const nb::gil_scoped_release release;
  return call();
}

// The arrays that are written, held while the library works.
struct PartArrays {
  Out loss, nll, lse, confidence, entropy, argmax, correct;
  Parts parts;

  PartArrays(nb::handle dict, int64_t rows) {
    if (dict.is_none()) return;
    const auto take = [&](const char* name, Out& array, auto& part, DType dtype) {
      const nb::handle value = PyDict_GetItemString(dict.ptr(), name);
      if (!value.is_valid() || value.is_none()) return;
      array = Out(name, value);
      const Vector vector = array.vector(name);
      using T = typename std::remove_reference_t<decltype(part)>::element_type;
      if (vector.dtype != dtype || vector.size != rows)
        throw Error(name, "an array of the rows, of the part's type, is needed");
      part = {static_cast<T*>(const_cast<void*>(vector.data)), static_cast<size_t>(rows)};
    };
    take("loss", loss, parts.loss, DType::f64);
    take("nll", nll, parts.nll, DType::f64);
    take("lse", lse, parts.lse, DType::f64);
    take("confidence", confidence, parts.confidence, DType::f64);
    take("entropy", entropy, parts.entropy, DType::f64);
    take("argmax", argmax, parts.argmax, DType::i64);
    take("correct", correct, parts.correct, DType::u8);
  }
};

struct UpstreamArrays {
  In rows;
  Upstream upstream;
  UpstreamArrays(double scalar, nb::handle object) : rows("upstream", object) {
    upstream.scalar = scalar;
    upstream.rows = rows.vector("upstream");
  }
};

template <class Void>
std::span<RowSummary> summaries_of(const Array<Void>& array, int64_t rows) {
  const Vector vector = array.vector("summaries");
  if (vector.dtype != DType::u8 || vector.size != rows * static_cast<int64_t>(sizeof(RowSummary)))
    throw Error("summaries", "80 bytes a row are needed");
  return {static_cast<RowSummary*>(const_cast<void*>(vector.data)), static_cast<size_t>(rows)};
}

Value value_of(const Result& result) {
  return {result.loss,    result.nll,     result.denominator,         result.rows,
          result.counted, result.correct, result.first_impossible_row};
}

}  // namespace

Settings::Settings(const std::string& rule, double label_smoothing, const std::string& weighting,
                   const std::string& support, double scale, double softcap, double lse_square_scale,
                   double entropy_penalty, double max_suppression, std::optional<int64_t> ignore_index,
                   const std::string& reduction, const std::string& denominator, double denominator_value,
                   const std::string& empty, int64_t axis, int64_t padded_classes)
    : axis(axis), padded_classes(padded_classes) {
  options.smoothing.rule = choice<Rule>("rule", rule, {"uniform", "others", "flip", "additive"});
  options.smoothing.amount = label_smoothing;
  options.weighting = choice<Weighting>("weighting", weighting, {"per_term", "label", "expected"});
  options.support = choice<Support>("support", support, {"all", "finite"});
  options.scale = scale;
  options.soft_cap = softcap;
  options.z_loss = lse_square_scale;
  options.entropy_penalty = entropy_penalty;
  options.max_suppression = max_suppression;
  options.ignore_index = ignore_index;
  options.reduction = choice<Reduction>("reduction", reduction, {"mean", "sum", "none"});
  options.denominator = {
      choice<Denominator::Kind>("denominator", denominator, {"weights", "rows", "constant"}),
      denominator_value};
  options.empty = choice<Empty>("empty", empty, {"nan", "zero", "error"});
}

Loss::Loss(const Settings& settings, nb::handle logits, nb::handle labels, nb::handle second,
           nb::handle mixing, nb::handle targets, nb::handle prior, nb::handle matrix, nb::handle amounts,
           nb::handle class_amounts, nb::handle weight, nb::handle row_weight, nb::handle mask)
    : logits_("logits", logits),
      labels_("labels", labels),
      second_("labels", second),
      mixing_("mixing", mixing),
      targets_("targets", targets),
      prior_("prior", prior),
      matrix_("matrix", matrix),
      amounts_("label_smoothing", amounts),
      class_amounts_("class_smoothing", class_amounts),
      weight_("weight", weight),
      row_weight_("row_weight", row_weight),
      mask_("mask", mask),
      padded_classes_(settings.padded_classes),
      options_(settings.options) {
  const auto axes = static_cast<int64_t>(logits_.shape().size());
  layout_.axis = settings.axis < 0 ? settings.axis + axes : settings.axis;
  if (layout_.axis < 0 || layout_.axis >= axes) {
    throw Error("axis",
                std::to_string(settings.axis) + " found, the logits have " + std::to_string(axes) + " axes");
  }
  // The first split of the axes that every array of the logits' shape can be walked by.
  const auto fits = [&](const In& array) {
    return array.shape() != logits_.shape() || array.view(layout_).has_value();
  };
  layout_.outer_axes = layout_.axis;
  for (int64_t split = 0; split < axes; ++split) {
    if (fits(logits_) && fits(targets_) && fits(prior_) && fits(mask_)) break;
    layout_.outer_axes = split;
  }
  view_ = view_of(logits_, "logits");

  target_.labels = labels_.vector("labels");
  if (targets_.given()) {
    target_.kind = Target::Kind::dense;
    target_.dense = view_of(targets_, "targets");
  } else if (second_.given()) {
    target_ = mixed(target_.labels, second_.vector("labels"), mixing_.vector("mixing"));
  }
  Smoothing& smoothing = options_.smoothing;
  if (prior_.given() && matrix_.given()) throw Error("matrix", "is a prior too, one of both is allowed");
  if (prior_.given() && prior_.shape().size() == 1 && axes != 1) {
    smoothing.prior = Prior(prior_.vector("prior"));
  } else if (prior_.given()) {
    smoothing.prior = {axes == 1 ? Prior::Kind::shared : Prior::Kind::by_row, view_of(prior_, "prior")};
  } else if (matrix_.given()) {
    const std::optional<Rows> by_label =
        matrix_.shape().size() == 2 ? matrix_.view({.axis = 1, .outer_axes = 1}) : std::nullopt;
    if (!by_label) throw Error("matrix", "two axes, (classes, classes), are needed");
    smoothing.prior = {Prior::Kind::by_label, *by_label};
  }
  smoothing.amount_by_row = amounts_.vector("label_smoothing");
  smoothing.amount_by_class = class_amounts_.vector("class_smoothing");
  options_.class_weights = weight_.vector("weight");
  options_.row_weights = row_weight_.vector("row_weight");
  if (mask_.given() && mask_.shape().size() == 1 && axes != 1) {
    const Vector all = mask_.vector("mask");
    options_.mask = Rows(all.data, all.dtype, 1, all.size, 1);
  } else if (mask_.given()) {
    options_.mask = view_of(mask_, "mask");
  }
}

// Of the logits' shape, padding and all.
template <class Void>
View<Void> Loss::view_of(const Array<Void>& array, const char* argument) const {
  if (array.shape() != logits_.shape()) throw Error(argument, "has another shape than the logits");
  const std::optional<View<Void>> view = array.view(layout_);
  if (!view) throw Error(argument, "cannot be walked with three strides; make it contiguous");
  if (padded_classes_ == 0) return *view;
  if (padded_classes_ < 0 || padded_classes_ > view->classes) {
    throw Error("padded_classes", std::to_string(padded_classes_) + " found, the logits have " +
                                      std::to_string(view->classes) + " classes");
  }
  return view->unpadded(view->classes - padded_classes_);
}

Value Loss::value(nb::handle dlogits, double upstream, nb::handle upstream_rows, nb::handle parts) const {
  const PartArrays written(parts, rows());
  if (dlogits.is_none()) {
    return value_of(without_gil(view_.rows() * view_.classes,
                                [&] { return cross_entropy(view_, target_, options_, written.parts); }));
  }
  const Out gradient("out", dlogits);
  const View<void> dz = view_of(gradient, "out");
  const UpstreamArrays factor(upstream, upstream_rows);
  return value_of(without_gil(view_.rows() * view_.classes, [&] {
    return cross_entropy(view_, target_, dz, options_, written.parts, factor.upstream);
  }));
}

Value Loss::summarize(nb::handle summaries, nb::handle parts) const {
  const Out bytes("summaries", summaries);
  const PartArrays written(parts, rows());
  const std::span<RowSummary> all = summaries_of(bytes, rows());
  return value_of(without_gil(view_.rows() * view_.classes, [&] {
    labelsmooth::summarize(view_, target_, options_, all);
    return labelsmooth::finish(all, view_.total_classes, target_, options_, written.parts);
  }));
}

Value Loss::finish(nb::handle summaries, nb::handle parts) const {
  const In bytes("summaries", summaries);
  const PartArrays written(parts, rows());
  return value_of(labelsmooth::finish(summaries_of(bytes, rows()), view_.total_classes, target_, options_,
                                      written.parts));
}

void Loss::gradient(nb::handle summaries, nb::handle dlogits, double upstream,
                    nb::handle upstream_rows) const {
  const In bytes("summaries", summaries);
  const Out gradient("out", dlogits);
  const View<void> dz = view_of(gradient, "out");
  const UpstreamArrays factor(upstream, upstream_rows);
  const std::span<const RowSummary> all = summaries_of(bytes, rows());
  without_gil(view_.rows() * view_.classes,
              [&] { labelsmooth::gradient(view_, target_, all, options_, dz, factor.upstream); });
}

}  // namespace labelsmooth::python
