// SPDX-License-Identifier: MIT
#include "reference.h"

#include <cmath>   // std::cosh, std::exp, std::isfinite, std::log1p, std::tanh
#include <limits>  // std::numeric_limits

namespace labelsmooth::reference {
namespace {

constexpr Real kInf = std::numeric_limits<Real>::infinity();
constexpr Real kNan = std::numeric_limits<Real>::quiet_NaN();

int64_t size(const Reals& values) { return static_cast<int64_t>(values.size()); }

// The logit as the mask leaves it.
Real masked(const Row& row, int64_t k) {
  return !row.excluded.empty() && row.excluded[k] ? -kInf : row.logits[k];
}

Real capped(const Row& row, Real logit) {
  if (row.soft_cap == 0 || std::isinf(logit)) return row.scale * logit;
  return row.scale * row.soft_cap * std::tanh(logit / row.soft_cap);
}

// Derivative of `capped`.
Real slope(const Row& row, Real logit) {
  if (row.soft_cap == 0) return row.scale;
  const Real c = std::cosh(logit / row.soft_cap);
  return row.scale / (c * c);
}

// The first NaN, else the first of the largest.
int64_t largest(const Reals& z) {
  int64_t best = 0;
  for (int64_t k = 0; k < size(z); ++k) {
    if (std::isnan(z[k])) return k;
    if (z[k] > z[best]) best = k;
  }
  return best;
}

bool supported(const Row& row, const Reals& z, int64_t k) { return !row.finite_support || z[k] != -kInf; }

// u: the prior over the support, of sum 1.
Reals normalised_prior(const Row& row, const Reals& z) {
  Reals u(z.size());
  Real sum = 0;
  for (int64_t k = 0; k < size(z); ++k) {
    if (supported(row, z, k)) u[k] = row.prior.empty() ? 1 : row.prior[k];
    sum += u[k];
  }
  for (Real& value : u) value /= sum;
  return u;
}

Real class_weight(const Row& row, int64_t k) { return row.class_weights.empty() ? 1 : row.class_weights[k]; }

// The factor of q_k log p_k, for every class.
Reals term_weights(const Row& row, const Reals& q) {
  Reals weights(q.size());
  Real expected = 0;
  for (int64_t k = 0; k < size(q); ++k) expected += q[k] * class_weight(row, k);
  for (int64_t k = 0; k < size(q); ++k) {
    weights[k] = row.weighting == "label"      ? class_weight(row, row.label)
                 : row.weighting == "expected" ? expected
                                               : class_weight(row, k);
  }
  return weights;
}

Real max_minus_mean(const Row& row, const Reals& z, Real max) {
  Real sum = 0, count = 0;
  for (int64_t k = 0; k < size(z); ++k) {
    if (supported(row, z, k)) sum += max - z[k], count += 1;
  }
  return sum / count;
}

}  // namespace

Reals one_hot(int64_t classes, int64_t label) {
  Reals t(static_cast<size_t>(classes));
  t[label] = 1;
  return t;
}

Reals target(const std::string& rule, Real amount, const Reals& t, const Reals& u) {
  if (amount == 0) return t;
  Reals q(t.size());
  for (int64_t k = 0; k < size(t); ++k) {
    if (rule == "uniform") q[k] = (1 - amount) * t[k] + amount * u[k];
    if (rule == "others") q[k] = (1 - amount) * t[k] + amount * (1 - t[k]) / static_cast<Real>(t.size() - 1);
    if (rule == "flip") q[k] = (1 - amount) * t[k] + amount * (1 - t[k]);
    if (rule == "additive") q[k] = (1 - amount) * t[k] + amount;
  }
  return q;
}

Truth truth(const Row& row) {
  const int64_t classes = size(row.logits);
  Truth result;
  result.gradient.assign(row.logits.size(), 0);
  for (int64_t k = 0; k < classes; ++k) result.z.push_back(capped(row, masked(row, k)));
  const Reals& z = result.z;
  const int64_t argmax = result.argmax = largest(z);
  const Reals q = target(row.rule, row.amount, row.label_part, normalised_prior(row, z));
  const Reals prior_part = target(row.rule, row.amount, Reals(z.size()), normalised_prior(row, z));
  const Reals weights = term_weights(row, q);
  result.weight = 0;
  for (int64_t k = 0; k < classes; ++k) {
    result.weighted_target.push_back(weights[k] * q[k]);
    result.target_size.push_back(std::abs(weights[k] * row.label_part[k]) +
                                 std::abs(weights[k] * prior_part[k]));
    result.weight += weights[k] * row.label_part[k];
  }
  result.weight = row.row_weight * (row.kind == "dense" ? 1 : result.weight);
  if (!std::isfinite(z[argmax])) {
    result.nll = result.lse = result.confidence = result.entropy = kNan;
    if (row.row_weight != 0) result.loss = kNan, result.gradient.assign(row.logits.size(), kNan);
    return result;
  }

  Real others = 0;  // the sum without the largest, so that its digits stay when the rest is tiny
  for (int64_t k = 0; k < classes; ++k) {
    if (k != argmax) others += std::exp(z[k] - z[argmax]);
  }
  result.lse = z[argmax] + std::log1p(others);
  result.correct = argmax == row.label;

  Real loss = 0, mass = 0;
  for (int64_t k = 0; k < classes; ++k) {
    const Real log_p = z[k] - z[argmax] - std::log1p(others), p = std::exp(log_p);
    const Real term = result.weighted_target[k];
    const Real label = row.label_part[k] * (row.kind == "labels" ? 1 : class_weight(row, k));
    result.log_probability.push_back(log_p);
    if (p > 0) result.entropy -= p * log_p;
    if (label != 0) result.nll -= label * log_p;
    if (term != 0) loss -= term * log_p, result.magnitude += result.target_size[k] * -log_p;
    // By contract: a label and a prior of opposite signs do not cancel where log p = -inf.
    if (term != 0 && z[k] == -kInf && (q[k] - prior_part[k]) * prior_part[k] < 0) loss = kNan;
    mass += term;
  }
  result.impossible = std::isinf(result.nll);
  result.confidence = std::exp(result.log_probability[argmax]);
  loss += row.z_loss * result.lse * result.lse - row.entropy_penalty * result.entropy;
  if (row.max_suppression != 0) loss += row.max_suppression * max_minus_mean(row, z, z[argmax]);
  result.magnitude += row.z_loss * result.lse * result.lse + row.entropy_penalty * result.entropy;
  if (row.row_weight == 0) return result;

  result.loss = row.row_weight * loss;
  Real support = 0;
  for (int64_t k = 0; k < classes; ++k) support += supported(row, z, k);
  for (int64_t k = 0; k < classes; ++k) {
    const Real log_p = result.log_probability[k], p = std::exp(log_p), own = result.weighted_target[k];
    const Real rest = k == argmax ? others / (1 + others) : 1 - p;  // 1 - p
    Real dz = (mass - own) * p - own * rest;
    dz += 2 * row.z_loss * result.lse * p;
    if (p > 0) dz += row.entropy_penalty * p * (log_p + result.entropy);
    if (row.max_suppression != 0) {
      dz += row.max_suppression * (k == argmax);
      if (supported(row, z, k)) dz -= row.max_suppression / support;
    }
    result.gradient[k] = row.row_weight * dz * slope(row, masked(row, k));
  }
  return result;
}

Total reduce(const std::vector<Row>& rows, const Reduction& reduction, Real upstream,
             const Reals& upstream_rows) {
  Total total;
  Real weight = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    Truth row;
    row.gradient.assign(rows[i].logits.size(), 0);
    if (!rows[i].ignored) {
      row = truth(rows[i]);
      ++total.counted;
      total.loss += row.loss;
      total.nll += row.nll;
      total.correct += row.correct;
      weight += row.weight;
      if (row.impossible && total.first_impossible_row < 0)
        total.first_impossible_row = static_cast<int64_t>(i);
    }
    total.rows.push_back(row);
  }
  if (reduction.reduction == "mean") {
    total.denominator = reduction.denominator == "weights" ? weight
                        : reduction.denominator == "rows"  ? static_cast<Real>(total.counted)
                                                           : reduction.constant;
  }
  const bool nothing = total.denominator == 0;
  total.loss = reduction.reduction == "none" ? kNan
               : nothing                     ? reduction.empty
                                             : total.loss / total.denominator;
  total.nll = total.counted == 0 ? reduction.empty : total.nll / static_cast<Real>(total.counted);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Real own = upstream_rows.empty() ? 1 : upstream_rows[i];
    const bool zero = rows[i].ignored || rows[i].row_weight == 0;
    total.factor.push_back(zero ? 0 : nothing ? reduction.empty : upstream * own / total.denominator);
    total.gradient.push_back(total.rows[i].gradient);
    for (Real& value : total.gradient[i]) value = zero ? 0 : value * total.factor[i];
  }
  return total;
}

SigmoidRow sigmoid_row(const std::string& rule, Real amount, const std::vector<Real>& z,
                       const std::vector<Real>& y, const std::vector<double>& pos_weight,
                       const std::vector<double>& weights) {
  // -log sigmoid(x), from whichever side does not overflow.
  const auto minus_log_sigmoid = [](Real x) {
    return x < 0 ? std::log1p(std::exp(x)) - x : std::log1p(std::exp(-x));
  };
  const auto sigmoid = [](Real x) {
    return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  };
  const auto classes = static_cast<Real>(z.size());
  Real sum = 0;
  for (const Real label : y) sum += label;
  SigmoidRow result;
  for (size_t k = 0; k < z.size(); ++k) {
    Real q = y[k];
    if (rule == "flip") q = (1 - amount) * y[k] + amount * (1 - y[k]);
    if (rule == "half") q = (1 - amount) * y[k] + amount / 2;
    if (rule == "uniform") q = (1 - amount) * y[k] + amount / classes;
    if (rule == "spread") q = (1 - amount) * y[k] + amount * sum / classes;
    const Real weight = weights.empty() ? 1 : weights[k], positive = pos_weight.empty() ? 1 : pos_weight[k];
    result.target.push_back(q);
    result.loss.push_back(weight *
                          (positive * q * minus_log_sigmoid(z[k]) + (1 - q) * minus_log_sigmoid(-z[k])));
    result.nll.push_back(y[k] * minus_log_sigmoid(z[k]) + (1 - y[k]) * minus_log_sigmoid(-z[k]));
    result.gradient.push_back(weight * ((1 - q) * sigmoid(z[k]) - positive * q * sigmoid(-z[k])));
  }
  return result;
}

}  // namespace labelsmooth::reference
