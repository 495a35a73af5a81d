// SPDX-License-Identifier: MIT
// The three ways to draw a wrong label at random, each with the rule that is its mean.
#pragma once

#include <cstdint>  // int64_t
#include <vector>   // std::vector

#include "random.h"

namespace labelsmooth::verify {

struct Process {
  const char* name;
  const char* rule;
  int64_t classes;  // that it is for; 0: any
  /// Of each label to be drawn, (classes,).
  std::vector<double> (*probabilities)(int64_t label, int64_t classes, double amount);
  int64_t (*sample)(int64_t label, int64_t classes, double amount, const Draw& random);
};

/// With probability `amount`, any of the K classes, the label itself included.
inline constexpr Process kResample = {
    "resample from all classes", "uniform", 0,
    [](int64_t label, int64_t classes, double amount) {
      std::vector<double> probabilities(classes, amount / static_cast<double>(classes));
      probabilities[label] += 1 - amount;
      return probabilities;
    },
    [](int64_t label, int64_t classes, double amount, const Draw& random) {
      return random.uniform(0) < amount ? int64_t{random.below(static_cast<uint32_t>(classes), 1)} : label;
    }};

/// With probability `amount`, one of the other K - 1 classes.
inline constexpr Process kDifferent = {
    "another class", "others", 0,
    [](int64_t label, int64_t classes, double amount) {
      std::vector<double> probabilities(classes, amount / static_cast<double>(classes - 1));
      probabilities[label] = 1 - amount;
      return probabilities;
    },
    [](int64_t label, int64_t classes, double amount, const Draw& random) {
      if (random.uniform(0) >= amount) return label;
      return (label + 1 + random.below(static_cast<uint32_t>(classes - 1), 1)) % classes;
    }};

/// The document's (x, 1 - y): the same with two classes.
inline constexpr Process kBinary = {"binary flip", "flip", 2, kDifferent.probabilities, kDifferent.sample};

}  // namespace labelsmooth::verify
