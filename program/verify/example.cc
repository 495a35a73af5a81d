// SPDX-License-Identifier: MIT
// S17, S18: the worked example, and what its sentences are worth in general.
#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::abs, std::log
#include <iterator>   // std::ssize

#include "smoothing_of.h"
#include "verify/checks.h"
#include "verify/inputs.h"

namespace labelsmooth::verify {
namespace {

// What the example computes, whatever the formula above it says.
const Smoothing kExampleRule = additive(kAmount);

LossGradient at_example(const Loss& loss, const Smoothing& smoothing) {
  return loss(logits_of(kExample), kLabel, smoothing);
}

// loss_2 - loss_1
double increase(const Loss& loss, const std::vector<double>& probabilities, int64_t label,
                const Smoothing& smoothing) {
  const std::vector<double> logits = logits_of(probabilities);
  return loss(logits, label, smoothing).loss - loss(logits, label, kHard).loss;
}

// How far above its condition for loss_2 > loss_1 a row is, in nats: ln p_y less the mean of all ln p for the
// rules of mass 1, less the sum of the wrong ones for flip. additive has none.
double margin(const RandomRow& row, Rule rule) {
  double wrong = 0;
  for (int64_t k = 0; k < row.classes; ++k) wrong += k == row.label ? 0 : std::log(row.probabilities[k]);
  const double right = std::log(row.probabilities[row.label]);
  switch (rule) {
    case Rule::additive:
      return 1;
    case Rule::flip:
      return right - wrong;
    default:
      return right - (right + wrong) / static_cast<double>(row.classes);
  }
}

}  // namespace

Check example_loss_is_larger(const Loss& loss, uint64_t) {
  const double hard = at_example(loss, kHard).loss;
  nlohmann::json losses = {{"none", hard}};
  double least = 1, printed = 0;
  for (const char* rule : kSmoothingRules) {
    const Smoothing smoothing = smoothing_of(rule, kAmount);
    const double smoothed = at_example(loss, smoothing).loss;
    losses[rule] = smoothed;
    least = std::min(least, smoothed - hard);
    if (smoothing.rule == kExampleRule.rule) printed = smoothed;
  }
  Apart apart;
  apart.see(hard, -std::log(0.36));
  apart.see(printed, -(0.3 * std::log(0.1) + std::log(0.36) + 0.1 * std::log(0.34)));  // loss_2 as printed
  return {.id = "S17",
          .quote = "很明显我们可以看出 loss2 是大于 loss1 的",
          .claim = "loss2 is larger than loss1 in the example",
          .verdict = "true",
          .finding = fmt::format("{:.6f} > {:.6f}; under the other rules larger too, by {:.4f} at least",
                                 printed, hard, least),
          .evidence = {{"losses", losses}, {"least_increase", least}, {"largest_difference", apart.value()}},
          .passed = apart.within() && least > 0.05};
}

Check larger_loss_in_general(const Loss& loss, uint64_t seed) {
  constexpr uint32_t kRows = 2000;
  bool passed = true;
  uint32_t exceptions_in_all = 0;
  nlohmann::json rules;
  for (const char* rule : kSmoothingRules) {
    uint32_t larger = 0, smaller = 0, exceptions = 0;
    const bool always = smoothing_of(rule, kAmount).rule == Rule::additive;
    for (uint32_t i = 0; i < kRows; ++i) {
      const RandomRow row = random_row(seed, Topic::larger, i);
      const Smoothing smoothing = smoothing_of(rule, row.amount);
      const double expected = margin(row, smoothing.rule);
      if (std::abs(expected) < 1e-9) continue;  // a tie, where rounding decides
      const double found = increase(loss, row.probabilities, row.label, smoothing);
      ++(found > 0 ? larger : smaller);
      exceptions += (found > 0) != (expected > 0);
    }
    rules[rule] = {{"larger", larger}, {"not_larger", smaller}, {"exceptions_to_condition", exceptions}};
    exceptions_in_all += exceptions;
    passed = passed && exceptions == 0 && larger > kRows / 20;
    passed = passed && (always ? smaller == 0 : smaller > kRows / 20);
  }
  const double uniform_counter = increase(loss, {0.24, 0.24, 0.24, 0.04, 0.24}, kLabel, uniform(kAmount));
  const double flip_counter = increase(loss, {0.25, 0.25, 0.25, 1e-6, 0.249999}, kLabel, flip(kAmount));
  return {.id = "S17",
          .quote = "很明显我们可以看出 loss2 是大于 loss1 的",
          .claim = "loss2 is larger than loss1 in general",
          .verdict = "conditional",
          .finding = fmt::format(
              "always under additive; under uniform and others iff p_y > (prod p)^(1/K), under flip "
              "iff p_y > prod of the others; {} exceptions in {} random rows",
              exceptions_in_all, kRows * kSmoothingRules.size()),
          .evidence = {{"random_rows", kRows},
                       {"rules", rules},
                       {"counter_example_uniform", uniform_counter},
                       {"counter_example_flip", flip_counter}},
          .passed = passed && uniform_counter < -0.1 && flip_counter < -0.5};
}

Check every_class_is_in_the_loss(const Loss& loss, uint64_t) {
  const std::vector<double> logits = logits_of(kExample),
                            q = target(kExampleRule, std::ssize(kExample), kLabel);
  std::vector<double> terms;
  double sum = 0, wrong = 0;
  for (size_t k = 0; k < q.size(); ++k) {
    terms.push_back(q[k] * loss(logits, static_cast<int64_t>(k), kHard).loss);
    sum += terms.back();
    if (static_cast<int64_t>(k) != kLabel) wrong += terms.back();
  }
  Apart apart;
  const double smoothed = at_example(loss, kExampleRule).loss;
  apart.see(smoothed, sum);
  return {.id = "S18",
          .quote = "不仅考虑到了训练样本中正确的标签位置…的损失，也稍微考虑到其他错误标签位置…的损失",
          .claim = "the smoothed loss includes the wrong positions",
          .verdict = "true",
          .finding = fmt::format("they are {:.4f} of loss2 = {:.4f}", wrong, smoothed),
          .evidence = {{"terms", terms}, {"loss", smoothed}, {"largest_difference", apart.value()}},
          .passed = apart.within() && wrong > 0.5};
}

Check loss_grows_by_the_wrong_positions(const Loss& loss, uint64_t) {
  const double hard = at_example(loss, kHard).loss, smoothed = at_example(loss, kExampleRule).loss;
  Apart apart;
  apart.see(smoothed - hard, -(0.3 * std::log(0.1) + 0.1 * std::log(0.34)));
  return {.id = "S18",
          .quote = "导致最后的损失增大",
          .claim = "the wrong positions make the loss of the example larger",
          .verdict = "true",
          .finding = fmt::format("by {:.6f}, all of it the wrong positions' terms", smoothed - hard),
          .evidence = {{"increase", smoothed - hard}, {"largest_difference", apart.value()}},
          .passed = apart.within()};
}

Check back_to_the_first_loss(const Loss& loss, uint64_t) {
  const double first = at_example(loss, kHard).loss;
  nlohmann::json floors;
  Apart apart;
  bool as_documented = true;
  for (const char* rule : kSmoothingRules) {
    const Smoothing smoothing = smoothing_of(rule, kAmount);
    const Optimum best = optimum(smoothing, std::ssize(kExample), kLabel);
    std::vector<double> logits(kExample.size());
    logits[kLabel] = best.gap;
    const LossGradient least = loss(logits, kLabel, smoothing);
    apart.see(least.loss, best.floor);
    for (const double g : least.gradient) apart.see(g, 0);  // convex: so it is the least
    floors[rule] = least.loss;
    const bool above = smoothing.rule == Rule::flip || smoothing.rule == Rule::additive;
    as_documented = as_documented && (least.loss > first) == above;
  }
  return {.id = "S18",
          .quote = "即要下降到原来的损失，就得学习的更好",
          .claim = "to get back down to the original loss, the model has to learn better",
          .verdict = "false",
          .finding = fmt::format("it cannot: the least loss of the example's labels is {:.6f}, above loss1 = "
                                 "{:.6f} (of the code's, {:.6f})",
                                 floors["additive"].get<double>(), first, floors["uniform"].get<double>()),
          .evidence = {{"first_loss", first}, {"floors", floors}, {"largest_difference", apart.value()}},
          .passed = as_documented && apart.within()};
}

Check direction_of_the_example(const Loss& loss, uint64_t) {
  nlohmann::json gradients = {{"none", at_example(loss, kHard).gradient}};
  bool raises = true, lowers = true;
  for (const char* rule : kSmoothingRules) {
    const std::vector<double> gradient = at_example(loss, smoothing_of(rule, kAmount)).gradient;
    for (int64_t k = 0; k < std::ssize(kExample); ++k) {
      (k == kLabel ? raises : lowers) &= k == kLabel ? gradient[k] < -0.01 : gradient[k] > 0.01;
    }
    gradients[rule] = gradient;
  }
  return {.id = "S18",
          .quote = "迫使模型往增大正确分类概率并且同时减小错误分类概率的方向前进",
          .claim = "smoothing drives the example's label up and the wrong classes down",
          .verdict = "true",
          .finding = fmt::format("under every rule, as hard labels do; the example's gradient is [{:.4g}]",
                                 fmt::join(gradients["additive"].get<std::vector<double>>(), ", ")),
          .evidence = {{"gradients", gradients}},
          .passed = raises && lowers};
}

Check pull_on_the_label(const Loss& loss, uint64_t seed) {
  constexpr uint32_t kRows = 500;
  const double hard = -at_example(loss, kHard).gradient[kLabel];
  nlohmann::json pulls = {{"none", hard}};
  double least = 1, most = 0;
  uint32_t stronger = 0;
  for (const char* rule : kSmoothingRules) {
    const double pull = -at_example(loss, smoothing_of(rule, kAmount)).gradient[kLabel];
    pulls[rule] = pull;
    least = std::min(least, pull);
    most = std::max(most, pull);
    for (uint32_t i = 0; i < kRows; ++i) {
      const RandomRow row = random_row(seed, Topic::pull, i);
      const double smoothed = loss(row.logits, row.label, smoothing_of(rule, row.amount)).gradient[row.label];
      stronger += !(smoothed > loss(row.logits, row.label, kHard).gradient[row.label]);
    }
  }
  return {.id = "S18",
          .quote = "导致模型的学习能力提高",
          .claim = "the larger loss makes the model learn harder",
          .verdict = "false",
          .finding = fmt::format(
              "the pull on the label is weaker, {:.3f} to {:.3f} against {:.3f}, and so on {} random rows",
              least, most, hard, kRows * kSmoothingRules.size()),
          .evidence = {{"pulls", pulls},
                       {"random_rows", kRows * kSmoothingRules.size()},
                       {"stronger_pulls", stronger}},
          .passed = most < hard && least > 0.3 && stronger == 0};
}

// q_k / mass is what a wrong class is drawn to: e / K under uniform.
Check direction_in_general(const Loss& loss, uint64_t seed) {
  constexpr uint32_t kRows = 500;
  bool passed = true;
  nlohmann::json rules;
  for (const char* rule : kSmoothingRules) {
    uint32_t up = 0, down = 0, exceptions = 0;
    for (uint32_t i = 0; i < kRows; ++i) {
      const RandomRow row = random_row(seed, Topic::direction, i);
      const Smoothing smoothing = smoothing_of(rule, row.amount);
      const std::vector<double> g = loss(row.logits, row.label, smoothing).gradient;
      const double share = as_uniform(smoothing, row.classes).amount / static_cast<double>(row.classes);
      for (int64_t k = 0; k < row.classes; ++k) {
        if (k == row.label || std::abs(row.probabilities[k] - share) < 1e-9) continue;
        ++(g[k] < 0 ? up : down);
        exceptions += (g[k] < 0) != (row.probabilities[k] < share);
      }
    }
    rules[rule] = {{"pushed_up", up}, {"pushed_down", down}, {"exceptions_to_condition", exceptions}};
    passed = passed && exceptions == 0 && up > kRows / 10 && down > kRows / 10;
  }
  const auto up = rules["uniform"]["pushed_up"].get<uint32_t>();
  return {.id = "S18",
          .quote = "同时减小错误分类概率的方向前进",
          .claim = "smoothing drives wrong classes down in general",
          .verdict = "conditional",
          .finding =
              fmt::format("a wrong logit with p_k < e/K is pushed up: {} of {} on random rows under uniform",
                          up, up + rules["uniform"]["pushed_down"].get<uint32_t>()),
          .evidence = {{"random_rows", kRows}, {"rules", rules}},
          .passed = passed};
}

}  // namespace labelsmooth::verify
