// SPDX-License-Identifier: MIT
// The truth, written a second time: p and q explicit, long double, plain loops. For the tests;
// shares no code with the library, not even the rules.
#pragma once

#include <cstdint>  // int64_t
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth::reference {

using Real = long double;
using Reals = std::vector<Real>;

Reals one_hot(int64_t classes, int64_t label);

/// The target q of a label part t and a prior u of sum 1, by the rule's name: uniform (the only one that
/// takes u), others, flip, additive.
Reals target(const std::string& rule, Real amount, const Reals& t, const Reals& u);

/// One row and all that is said about it. Vectors are (classes,).
struct Row {
  Reals logits;
  bool ignored = false;
  std::string kind = "labels";  // labels, mixed, dense
  Reals label_part = {};        // t
  int64_t label = -1;           // -1: none

  std::string rule = "uniform";
  Real amount = 0;
  Reals prior = {};          // empty: uniform. Divided by its sum over the support.
  Reals class_weights = {};  // empty: 1
  std::string weighting = "per_term";
  Real row_weight = 1;
  bool finite_support = false;
  std::vector<bool> excluded = {};  // by a mask; empty: none
  Real scale = 1, soft_cap = 0, z_loss = 0, entropy_penalty = 0, max_suppression = 0;
};

struct Truth {
  Real loss = 0, nll = 0, lse = 0, confidence = 0, entropy = 0;
  int64_t argmax = -1;
  bool correct = false, impossible = false;
  Real weight = 0;  // what the row adds to the denominator
  Reals gradient;   // of loss by the logits
  // What the bounds of the tests are made of: z, log p, w q, |w t| + |w b u| (a, made from 1,
  // rounds as 1 does).
  Reals z, log_probability, weighted_target, target_size;
  Real magnitude = 0;  // sum of the absolute values of what the unweighted loss adds up
};
Truth truth(const Row& row);

/// `denominator`: weights, rows or constant (of value `constant`). `empty`: what a mean over nothing is.
struct Reduction {
  std::string reduction = "mean", denominator = "weights";
  Real constant = 0, empty = 0;
};
struct Total {
  Real loss = 0, nll = 0, denominator = 1;
  int64_t counted = 0, correct = 0, first_impossible_row = -1;
  std::vector<Truth> rows;
  std::vector<Reals> gradient;  // of the reduced loss, times the upstream's factors
  Reals factor;                 // a row's gradient times this is the above
};
Total reduce(const std::vector<Row>& rows, const Reduction& reduction, Real upstream = 1,
             const Reals& upstream_rows = {});

struct SigmoidRow {
  std::vector<Real> target, loss, nll, gradient;  // (classes,)
};
/// One row of sigmoid cross-entropy, smoothed by the rule's name: flip, half, uniform, spread. z and y
/// (classes,), pos_weight and weights (classes,) or empty.
SigmoidRow sigmoid_row(const std::string& rule, Real amount, const std::vector<Real>& z,
                       const std::vector<Real>& y, const std::vector<double>& pos_weight = {},
                       const std::vector<double>& weights = {});

}  // namespace labelsmooth::reference
