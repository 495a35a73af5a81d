// SPDX-License-Identifier: MIT
// What every hypothesis about a row's loss is made of. A target is q = a * onehot + b * uniform, so under
// any rule the loss is a * hard + b * flat: two numbers of the row, which the library computes.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "labelsmooth/tensor.h"

namespace labelsmooth::identify {

/// A counted row. Losses in nats.
struct Row {
  int64_t row = 0, label = 0;
  double hard = 0;           // the loss at amount 0
  double flat = 0;           // the loss of the uniform target
  double weighted_flat = 0;  // the same with class weights per term; flat without
  double weight = 1;         // the label's class weight
  double lse = 0;
  double found = 0;  // what LOSSES says; NaN where it holds one number for all rows
};

/// How exact the losses can be.
struct Precision {
  DType dtype = DType::f64;  // the narrowest type that holds every loss, whatever type the file has
  double stored = 0;         // its epsilon
  double smallest = 0;       // its smallest subnormal
  double computed = 0;       // epsilon of the arithmetic: f64 where logits and losses are, else f32
};

struct Basis {
  int64_t classes = 0, rows = 0, counted = 0;
  int64_t ignored_nonzero = 0;             // ignored rows whose loss is not 0
  bool weighted = false;                   // class weights are given
  double mean_weight = 1, weight_sum = 0;  // over the classes; of the counted labels
  Precision precision;
  std::vector<Row> finite;    // rows whose hard and flat losses are finite
  std::vector<Row> infinite;  // the others: logits of -inf, inf or NaN
  bool one_number = false;    // LOSSES holds `total` and no row's own loss
  double total = 0;

  /// How far rounding alone may move a loss of `row` that is `factor` times one of mass 1: two ulps of the
  /// value, and a few of every log-probability, which is made from z_k and the lse. A sum of K terms in
  /// order is off by about sqrt(K)/6 ulps; half of sqrt(K) is allowed.
  double allowed(const Row& row, double factor) const;
};

/// What the values were rounded to: of bf16, f16, f32 and f64 the type of the fewest digits, no wider than
/// their own, that holds every finite one.
DType narrowest(const Vector& values);

/// losses (rows,) in row order, or (1,): a reduced loss, or the only row. Throws Error, argument "losses",
/// where a loss is not finite although its logits make a finite one, and the library's own for the rest.
Basis make_basis(const Logits& logits, const Vector& labels, const Vector& losses,
                 const Vector& class_weights, int64_t ignore_index);

}  // namespace labelsmooth::identify
