// SPDX-License-Identifier: MIT
// S12, S14: where a single prediction ends when nothing but the loss moves it.
#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::max
#include <array>      // std::array
#include <cmath>      // std::abs, std::log
#include <iterator>   // std::ssize
#include <limits>     // std::numeric_limits

#include "smoothing_of.h"
#include "verify/checks.h"
#include "verify/inputs.h"

namespace labelsmooth::verify {
namespace {

// Gradient descent on logits until the gradient is rounding. The step is 1 / curvature or less.
template <class GradientOf>
std::vector<double> descend(std::vector<double> logits, double step, const GradientOf& gradient_of) {
  constexpr int kMostSteps = 20000;
  for (int i = 0; i < kMostSteps; ++i) {
    const std::vector<double> gradient = gradient_of(logits);
    double largest = 0;
    for (size_t k = 0; k < logits.size(); ++k) {
      logits[k] -= step * gradient[k];
      largest = std::max(largest, std::abs(gradient[k]));
    }
    if (largest < 1e-14) break;
  }
  return logits;
}

// Label logit minus the largest other.
double gap_of(const std::vector<double>& logits, int64_t label) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t k = 0; k < std::ssize(logits); ++k) {
    if (k != label) largest = std::max(largest, logits[k]);
  }
  return logits[label] - largest;
}

// What descent finds, for loss `loss` alone.
double descended_gap(const Loss& loss, const std::vector<double>& start, int64_t label,
                     const Smoothing& smoothing) {
  const double step = 2 / mass(smoothing, std::ssize(start));  // curvature: at most mass / 2
  return gap_of(descend(start, step, [&](const auto& z) { return loss(z, label, smoothing).gradient; }),
                label);
}

// Of uniform, by classes and amount: the loss at the closed-form gap, where the gradient has to be 0.
nlohmann::json floor_table(const Loss& loss, Apart& apart) {
  nlohmann::json table;
  for (const int64_t classes : {2, 5, 10, 100, 1000}) {
    for (const double e : {0.05, 0.1, 0.2}) {
      const Optimum best = optimum(uniform(e), classes);
      std::vector<double> logits(classes);
      logits[0] = best.gap;
      const LossGradient found = loss(logits, 0, uniform(e));
      apart.see(found.loss, best.floor);
      for (const double g : found.gradient) apart.see(g, 0);
      table.push_back({{"classes", classes}, {"amount", e}, {"gap", best.gap}, {"floor", found.loss}});
    }
  }
  return table;
}

constexpr double kConverged = 1e-9;

}  // namespace

Check certainty_is_pulled_back(const Loss& loss, uint64_t) {
  constexpr double kNear = 40, kFar = 80;  // logits of a prediction that is certain in double
  const auto slope = [&](int64_t label, double amount) {
    const double sign = label == 1 ? 1 : -1;
    const std::array near = {0., sign * kNear}, far = {0., sign * kFar};
    return (loss(far, label, flip(amount)).loss - loss(near, label, flip(amount)).loss) / (kFar - kNear);
  };
  const std::array hard = {slope(0, 0), slope(1, 0)}, smoothed = {slope(0, kAmount), slope(1, kAmount)};
  Apart apart;
  for (const double s : hard) apart.see(s, 0);
  for (const double s : smoothed) apart.see(s, kAmount);
  return {
      .id = "S12",
      .quote = "我们告诉模型，“1” 不一定为真，“0” 不一定为假",
      .claim = "the model is told that a 1 need not be true, nor a 0 false",
      .verdict = "true",
      .finding = fmt::format(
          "a unit of logit beyond certainty costs {:.3g} (label 0) and {:.3g} (label 1); hard labels {:.0e}",
          smoothed[0], smoothed[1], std::abs(hard[1])),
      .evidence = {{"amount", kAmount},
                   {"hard_cost", hard},
                   {"smoothed_cost", smoothed},
                   {"largest_difference", apart.value()}},
      .passed = apart.within()};
}

Check gradient_turns_at_the_target(const Loss& loss, uint64_t seed) {
  constexpr uint32_t kRows = 200;
  Apart at_target;
  bool turns = true;
  double below = 0, above = 0;
  const auto see = [&](const Smoothing& smoothing, int64_t classes, int64_t label) {
    std::vector<double> logits = logits_of(target(smoothing, classes, label));  // softmax ignores the mass
    for (const double g : loss(logits, label, smoothing).gradient) at_target.see(g, 0);
    logits[label] -= 0.1;
    below = loss(logits, label, smoothing).gradient[label];
    logits[label] += 0.2;
    above = loss(logits, label, smoothing).gradient[label];
    turns = turns && below < 0 && above > 0;
  };
  for (const char* rule : kSmoothingRules) {
    for (uint32_t i = 0; i < kRows; ++i) {
      const RandomRow row = random_row(seed, Topic::turning, i);
      see(smoothing_of(rule, row.amount), row.classes, row.label);
    }
  }
  see(flip(kAmount), 2, 1);
  return {.id = "S14",
          .quote = "模型的输出在达到这个值之后，就不会继续优化",
          .claim = "once the output has reached 1-e it is not driven further",
          .verdict = "true",
          .finding =
              fmt::format("the gradient is 0 there (to {:.1e}) and turns: {:+.4f} just below, {:+.4f} above; "
                          "pulled back, not only stopped",
                          at_target.value(), below, above),
          .evidence = {{"rules", kSmoothingRules},
                       {"random_rows", kRows * kSmoothingRules.size()},
                       {"largest_gradient_at_target", at_target.value()},
                       {"below", below},
                       {"above", above}},
          .passed = at_target.within() && turns};
}

Check optimum_is_reached(const Loss& loss, uint64_t seed) {
  Apart reached, floors;
  nlohmann::json binary, softmax;
  const nlohmann::json uniform_floors = floor_table(loss, floors);
  for (const double e : {0.01, 0.05, 0.1, 0.2, 0.3, 0.5}) {
    const auto gradient = [&](const auto& z) {  // of z in (0, z): one parameter
      return std::vector<double>{loss(std::array{0., z[0]}, 1, flip(e)).gradient[1]};
    };
    const double z = descend({3}, 4, gradient)[0];
    reached.see(z, std::log((1 - e) / e));
    reached.see(optimum(flip(e), 2, 1).gap, z);
    binary.push_back({{"amount", e}, {"logit", z}});
  }
  for (const char* rule : kSmoothingRules) {
    for (const int64_t classes : {2, 5, 10}) {
      const RandomRow row = random_row(seed, Topic::descent, static_cast<uint32_t>(classes), classes);
      const Smoothing smoothing = smoothing_of(rule, kAmount);
      const double gap = descended_gap(loss, row.logits, row.label, smoothing);
      reached.see(gap, optimum(smoothing, classes, row.label).gap);
      softmax.push_back({{"rule", rule}, {"classes", classes}, {"gap", gap}});
    }
  }
  return {.id = "S14",
          .quote = "把标签 0 和 1 分别替换成 ε 和 1-ε，模型的输出在达到这个值",
          .claim = "the output does reach 1-e",
          .verdict = "true",
          .finding = fmt::format(
              "descent ends at ln((1-e)/e) = {:.6f} at e = 0.1, and at every rule's closed form, to {:.1e}",
              binary[2]["logit"].get<double>(), reached.value()),
          .evidence = {{"binary", binary},
                       {"softmax", softmax},
                       {"uniform_floors", uniform_floors},
                       {"largest_difference", reached.value()},
                       {"largest_floor_difference", floors.value()}},
          .passed = reached.within(kConverged) && floors.within()};
}

Check optimum_under_wrong_labels(const Loss& loss, uint64_t) {
  Apart apart;
  nlohmann::json optima;
  double example = 0;
  for (const double share : {0.5, 0.7, 0.9, 1.}) {  // of labels 1 among equal inputs
    for (const double e : {0.05, 0.1, 0.2}) {
      const auto gradient = [&](const auto& z) {
        const std::array pair = {0., z[0]};
        return std::vector<double>{share * loss(pair, 1, flip(e)).gradient[1] +
                                   (1 - share) * loss(pair, 0, flip(e)).gradient[1]};
      };
      const std::array best = {0., descend({0}, 4, gradient)[0]};
      const double probability = loss(best, 0, kHard).gradient[1];
      apart.see(probability, (1 - 2 * e) * share + e);
      optima.push_back({{"share", share}, {"amount", e}, {"probability", probability}});
      if (share == 0.9 && e == kAmount) example = probability;
    }
  }
  return {.id = "S14",
          .quote = "模型的输出在达到这个值之后，就不会继续优化",
          .claim = "the value at which it stops is 1-e",
          .verdict = "conditional",
          .finding = fmt::format(
              "only where labels are right: with a share h of them 1 it is (1-2e) h + e, {:.4f} at "
              "h = 0.9, e = 0.1",
              example),
          .evidence = {{"optima", optima}, {"largest_difference", apart.value()}},
          .passed = apart.within(kConverged)};
}

}  // namespace labelsmooth::verify
