// SPDX-License-Identifier: MIT
// Built with -ffp-contract=off: a contracted a * b + c would round the operands' order into the result.
#include "labelsmooth/row_summary.h"

#include <cmath>    // std::exp, std::isnan
#include <utility>  // std::swap

namespace labelsmooth {
namespace {

// The winner has the larger max; a NaN max wins, then the lower argmax; a summary of no classes loses.
bool wins(const RowSummary& x, const RowSummary& y) {
  if (x.classes == 0 || y.classes == 0) return x.classes > y.classes;
  const bool x_nan = std::isnan(x.max), y_nan = std::isnan(y.max);
  if (x_nan != y_nan) return x_nan;
  if (x.max != y.max && !x_nan) return x.max > y.max;
  return x.argmax < y.argmax;
}

// `mass` moved down by d, where no mass means no term even at d = -inf.
double shift(double dot, double mass, double d) { return mass == 0 ? dot : dot + mass * d; }

}  // namespace

RowSummary merge(const RowSummary& x, const RowSummary& y) {
  const RowSummary* winner = &x;
  const RowSummary* loser = &y;
  if (wins(y, x)) std::swap(winner, loser);
  if (loser->classes == 0) return *winner;

  RowSummary sum = *winner;
  sum.label_mass += loser->label_mass;
  sum.prior_mass += loser->prior_mass;
  sum.prior_norm += loser->prior_norm;
  sum.classes += loser->classes;

  const double d = loser->max == winner->max ? 0 : loser->max - winner->max;  // equal infinities too
  const double scale = std::exp(d);
  sum.tail += scale * (1 + loser->tail);
  if (scale > 0) sum.tail_z += scale * (loser->tail_z + d * (1 + loser->tail));  // d may be -inf
  sum.label_dot += shift(loser->label_dot, loser->label_mass, d);
  sum.prior_dot += shift(loser->prior_dot, loser->prior_mass, d);
  return sum;
}

}  // namespace labelsmooth
