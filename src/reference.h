// SPDX-License-Identifier: MIT
// The truth, written a second time: p and q explicit, long double, plain loops. For the tests;
// shares no code with the library, not even the rules.
#pragma once

#include <cstdint>  // int64_t
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth::reference {

using Real = long double;

/// The target row by the rule's name: uniform, others, flip, additive, prior. (classes,)
std::vector<Real> target(const std::string& rule, Real amount, int64_t classes, int64_t label,
                         const std::vector<double>& prior = {});

struct Row {
  Real loss, nll, lse, confidence, entropy;
  int64_t argmax;
  std::vector<Real> probability, gradient;  // (classes,)
};
/// One row: z (classes,), target q (classes,), class weights (classes,) or empty.
Row row(const std::vector<Real>& z, const std::vector<Real>& q, int64_t label,
        const std::vector<double>& class_weights = {});

struct SigmoidRow {
  std::vector<Real> target, loss, nll, gradient;  // (classes,)
};
/// One row of sigmoid cross-entropy, smoothed by the rule's name: flip, half, uniform, spread. z and y
/// (classes,), pos_weight and weights (classes,) or empty.
SigmoidRow sigmoid_row(const std::string& rule, Real amount, const std::vector<Real>& z,
                       const std::vector<Real>& y, const std::vector<double>& pos_weight = {},
                       const std::vector<double>& weights = {});

}  // namespace labelsmooth::reference
