// SPDX-License-Identifier: MIT
// The arguments of one loss, from Python's arrays to the library's Problem.
#pragma once

#include <string>  // std::string

#include "array.h"
#include "labelsmooth/cross_entropy.h"

namespace labelsmooth::python {

/// All options that are no arrays, checked as far as they can be alone. Immutable, so that callers may keep
/// it.
class Settings {
 public:
  Settings(const std::string& rule, double label_smoothing, const std::string& weighting,
           const std::string& support, double scale, double softcap, double lse_square_scale,
           double entropy_penalty, double max_suppression, std::optional<int64_t> ignore_index,
           const std::string& reduction, const std::string& denominator, double denominator_value,
           const std::string& empty, int64_t axis, int64_t padded_classes);

  Options options;
  int64_t axis, padded_classes;
};

/// What a reduction gives. Ratios and means are the library's.
struct Value {
  double loss, nll, denominator;
  int64_t rows, counted, correct, first_impossible_row;
};

/// Holds every array that the loss reads. Each of its methods is one call of the library, outside the GIL
/// where the work is worth it.
class Loss {
 public:
  /// labels: None with dense `targets` alone. prior: (classes,), or the logits' shape; matrix: by label.
  Loss(const Settings& settings, nb::handle logits, nb::handle labels, nb::handle second, nb::handle mixing,
       nb::handle targets, nb::handle prior, nb::handle matrix, nb::handle amounts, nb::handle class_amounts,
       nb::handle weight, nb::handle row_weight, nb::handle mask);

  int64_t rows() const { return view_.rows(); }

  /// parts: None, or a dict of arrays to be written, by the names of Parts.
  Value value(nb::handle dlogits, double upstream, nb::handle upstream_rows, nb::handle parts) const;
  /// The value, and the summaries that `finish` and `gradient` read: contiguous u8, 80 bytes a row.
  Value summarize(nb::handle summaries, nb::handle parts) const;
  Value finish(nb::handle summaries, nb::handle parts) const;
  void gradient(nb::handle summaries, nb::handle dlogits, double upstream, nb::handle upstream_rows) const;

 private:
  template <class Void>
  View<Void> view_of(const Array<Void>& array, const char* argument) const;

  In logits_, labels_, second_, mixing_, targets_, prior_, matrix_, amounts_, class_amounts_, weight_,
      row_weight_, mask_;
  Layout layout_;
  int64_t padded_classes_;
  Logits view_;
  Target target_ = Target(Vector());
  Options options_;
};

}  // namespace labelsmooth::python
