// SPDX-License-Identifier: MIT
// Random batches and the comparison with the reference, for the tests of the loss.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>  // int64_t
#include <random>   // std::mt19937_64
#include <string>   // std::string
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"
#include "labelsmooth/isa.h"
#include "loss_truth.h"

namespace labelsmooth {

template <class T>
struct Batch {
  int64_t rows, classes;
  std::vector<T> z;
  std::vector<int64_t> labels;

  Batch(int64_t rows, int64_t classes, uint64_t seed, double spread = 3, double offset = 0)
      : rows(rows), classes(classes), z(rows * classes), labels(rows) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal(offset, spread);
    for (T& value : z) value = static_cast<T>(normal(random));
    for (int64_t& label : labels) label = static_cast<int64_t>(random() % classes);
  }
  Logits logits() const { return {z.data(), rows, classes}; }
  T& at(int64_t row, int64_t k) { return z[row * classes + k]; }
};

template <class T>
double ulp(double value) {
  return spacing(dtype_of<T>(), value);
}

// Every row's loss, parts and gradient against the reference, within the header's bounds. Of the options: the
// smoothing with a shared prior or none, and class weights.
template <class T>
void expect_reference(const Batch<T>& batch, const Options& options) {
  LossCase c;
  c.outer = batch.rows, c.inner = 1, c.classes = batch.classes;
  c.dtype = dtype_of<T>();
  c.logits.assign(batch.z.begin(), batch.z.end());
  c.labels = batch.labels;
  c.options.smoothing = {options.smoothing.rule, options.smoothing.amount};
  const Rows& prior = options.smoothing.prior.rows;
  for (int64_t k = 0; k < prior.classes; ++k) c.prior.push_back(prior.real(0, k));
  c.prior_kind = options.smoothing.prior.kind;
  for (int64_t k = 0; k < options.class_weights.size; ++k)
    c.class_weights.push_back(options.class_weights.real(k));
  expect_reference(c);
}

// Runs body once per instruction set of this CPU.
template <class Body>
void for_each_isa(const Body& body) {
  for (const std::string& name : usable_isas()) {
    set_isa(name);
    body();
  }
  set_isa("");
}

}  // namespace labelsmooth
