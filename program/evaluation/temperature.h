// SPDX-License-Identifier: MIT
// Temperature scaling (Guo et al. 2017): the one number that makes a trained model's confidences fit a
// validation set.
#pragma once

#include <cstdint>  // int64_t
#include <span>     // std::span

namespace labelsmooth {

/// The networks of the pilot fit between 0.3 and 3. A set on which the model is always right (always wrong)
/// wants T = 0 (infinity); the bounds keep a few hundred such rows from turning every logit into a certainty.
constexpr double kLeastTemperature = 1.0 / 20, kMostTemperature = 20;

struct Temperature {
  double temperature;            // 1 where the NLL does not depend on it: one class, equal logits
  double nll_before, nll_after;  // mean, in nats, at T = 1 and at the fitted T
  double entropy_after;  // mean predictive entropy, nats; equals nll_after at an optimum within the bounds
  bool at_bound;         // the NLL still falls at the bound
};

/// The T with the least mean NLL of softmax(z / T). logits (rows, classes), row-major; labels (rows).
/// The NLL is convex in 1 / T, so the optimum is the one root of mean(E_p[z] - z_y).
/// Throws like check_logits.
Temperature fit_temperature(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes);

}  // namespace labelsmooth
