// SPDX-License-Identifier: MIT
// S11, S15, F8, the code: what the labels become, read from the gradient that training would see.
#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <array>     // std::array
#include <bit>       // std::popcount
#include <cmath>     // std::abs, std::pow
#include <iterator>  // std::ssize
#include <utility>   // std::pair

#include "smoothing_of.h"
#include "verify/checks.h"
#include "verify/inputs.h"

namespace labelsmooth::verify {
namespace {

// Where class j has all the probability, the gradient of any other class k is exactly -q_k. Two such j show
// every q_k.
std::vector<double> trained_target(const Loss& loss, const Smoothing& smoothing, int64_t classes,
                                   int64_t label) {
  std::vector<double> q(classes);
  for (const int64_t j : {0, 1}) {
    std::vector<double> logits(classes);
    logits[j] = 1000;
    const std::vector<double> gradient = loss(logits, label, smoothing).gradient;
    for (int64_t k = 0; k < classes; ++k) {
      if (k != j) q[k] = -gradient[k];
    }
  }
  return q;
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

void see_all(Apart& apart, const std::vector<double>& found, const std::vector<double>& expected) {
  for (size_t k = 0; k < expected.size(); ++k) apart.see(found[k], expected[k]);
}

// K sigmoids, each the softmax of (0, z), under element-wise flipped labels.
LossGradient sigmoids(const Loss& loss, const std::vector<double>& logits, int64_t label, double amount) {
  LossGradient sum{0, std::vector<double>(logits.size())};
  for (int64_t k = 0; k < std::ssize(logits); ++k) {
    const LossGradient one = loss(std::array{0., logits[k]}, k == label ? 1 : 0, flip(amount));
    sum.loss += one.loss;
    sum.gradient[k] = one.gradient[1];
  }
  return sum;
}

// The mean of their hard losses over all 2^K ways to flip the bits of the one-hot label.
LossGradient mean_over_flipped_bits(const Loss& loss, const std::vector<double>& logits, int64_t label,
                                    double amount) {
  std::vector<std::array<LossGradient, 2>> hard;  // [class][bit]
  for (const double z : logits) {
    const std::array pair = {0., z};
    hard.push_back({loss(pair, 0, kHard), loss(pair, 1, kHard)});
  }
  LossGradient mean{0, std::vector<double>(logits.size())};
  for (uint32_t flips = 0; flips < 1u << logits.size(); ++flips) {
    const int flipped = std::popcount(flips), kept = static_cast<int>(logits.size()) - flipped;
    const double probability = std::pow(amount, flipped) * std::pow(1 - amount, kept);
    for (int64_t k = 0; k < std::ssize(logits); ++k) {
      const bool bit = (flips >> k & 1) != (k == label);
      mean.loss += probability * hard[k][bit].loss;
      mean.gradient[k] += probability * hard[k][bit].gradient[1];
    }
  }
  return mean;
}

// The document's code: onehot * (1 - e) + ones * e / n_classes.
std::vector<double> code_targets(int64_t label, int64_t classes, double amount) {
  std::vector<double> targets(classes, amount / static_cast<double>(classes));
  targets[label] += 1 - amount;
  return targets;
}

}  // namespace

Check binary_targets(const Loss& loss, uint64_t) {
  // Of class 1, for y = 0 and y = 1.
  const std::pair<const char*, std::pair<double, double>> expected[] = {
      {"uniform", {kAmount / 2, 1 - kAmount / 2}},
      {"others", {kAmount, 1 - kAmount}},
      {"flip", {kAmount, 1 - kAmount}},
      {"additive", {kAmount, 1}},
  };
  Apart apart;
  nlohmann::json evidence;
  for (const auto& [rule, values] : expected) {
    const Smoothing smoothing = smoothing_of(rule, kAmount);
    const double zero = trained_target(loss, smoothing, 2, 0)[1],
                 one = trained_target(loss, smoothing, 2, 1)[1];
    apart.see(zero, values.first);
    apart.see(one, values.second);
    apart.see(target(smoothing, 2, 0)[1], values.first);
    apart.see(target(smoothing, 2, 1)[1], values.second);
    evidence[rule] = {zero, one};
  }
  return {
      .id = "S11",
      .quote = "当标签为 0 的时候…换成一个比较小的数字 ε，…标签为 1…替换为较接近的数 1-ε",
      .claim = "a label 0 becomes e, a label 1 becomes 1-e",
      .verdict = "conditional",
      .finding = fmt::format(
          "under flip and others ({:.3g}); the document's code gives e/2, 1-e/2 ({:.3g}), its example {:.3g}",
          fmt::join(evidence["flip"].get<std::vector<double>>(), ", "),
          fmt::join(evidence["uniform"].get<std::vector<double>>(), ", "),
          fmt::join(evidence["additive"].get<std::vector<double>>(), ", ")),
      .evidence = {{"amount", kAmount}, {"targets", evidence}, {"largest_difference", apart.value()}},
      .passed = apart.within()};
}

Check extremes_become_less_extreme(const Loss& loss, uint64_t) {
  nlohmann::json targets;
  Apart apart;
  bool inside = true;
  double example_label = 0;
  for (const char* rule : kSmoothingRules) {
    const Smoothing smoothing = smoothing_of(rule, kAmount);
    const std::vector<double> q = trained_target(loss, smoothing, std::ssize(kExample), kLabel);
    see_all(apart, q, target(smoothing, std::ssize(kExample), kLabel));
    targets[rule] = q;
    if (smoothing.rule == Rule::additive) {
      example_label = q[kLabel];
    } else {
      for (const double value : q) inside = inside && value > 0.01 && value < 0.99;
    }
  }
  return {
      .id = "S15",
      .quote = "所谓平滑，指的就是把两个极端值 0 和 1 变成两个不那么极端的值",
      .claim = "smoothing turns the two extremes 0 and 1 into two values that are less extreme",
      .verdict = "conditional",
      .finding = fmt::format("under uniform, others and flip; in the document's own example the 1 stays {:g}",
                             example_label),
      .evidence = {{"amount", kAmount}, {"targets", targets}, {"largest_difference", apart.value()}},
      .passed = inside && apart.within() && std::abs(example_label - 1) <= kTolerance};
}

Check element_wise_formula(const Loss& loss, uint64_t seed) {
  constexpr uint32_t kRows = 20;
  Apart bits, softmax;
  const auto see = [&](const std::vector<double>& logits, int64_t label, double amount) {
    bits.see(sigmoids(loss, logits, label, amount), mean_over_flipped_bits(loss, logits, label, amount));
  };
  see(logits_of(kExample), kLabel, kAmount);
  for (uint32_t i = 0; i < kRows; ++i) {
    const RandomRow row = random_row(seed, Topic::bits, i);
    see(row.logits, row.label, row.amount);
  }
  const std::vector<double> q = trained_target(loss, flip(kAmount), std::ssize(kExample), kLabel);
  see_all(softmax, q, {0.1, 0.1, 0.1, 0.9, 0.1});
  softmax.see(mass(flip(kAmount), std::ssize(kExample)), sum(q));
  return {.id = "F8",
          .quote = "标签平滑的公式为 y′ = (1-ε)*y + ε*(1-y)",
          .claim = "the formula of label smoothing is y' = (1-e) y + e (1-y), class by class",
          .verdict = "conditional",
          .finding = fmt::format(
              "for K sigmoids it is the mean over independent bit flips, to {:.1e}; under softmax "
              "the labels sum to {:.3g}",
              bits.value(), sum(q)),
          .evidence = {{"random_rows", kRows},
                       {"largest_difference", bits.value()},
                       {"softmax_target", q},
                       {"softmax_mass", sum(q)}},
          .passed = bits.within() && softmax.within()};
}

Check code_is_uniform(const Loss& loss, uint64_t seed) {
  constexpr uint32_t kRows = 300;
  Apart apart;
  for (uint32_t i = 0; i < kRows; ++i) {
    const RandomRow row = random_row(seed, Topic::code, i);
    apart.see(loss(row.logits, row.label, uniform(row.amount)),
              weighted_hard_losses(loss, row.logits, code_targets(row.label, row.classes, row.amount)));
  }
  return {
      .id = "code",
      .quote = "targets = onehot * (1 - epsilon) + torch.ones_like(onehot) * epsilon / n_classes",
      .claim = "the function label_smoothing is softmax cross-entropy with label smoothing",
      .verdict = "true",
      .finding = fmt::format("it is the rule uniform: loss and gradient agree to {:.1e} on {} random rows",
                             apart.value(), kRows),
      .evidence = {{"random_rows", kRows}, {"largest_difference", apart.value()}},
      .passed = apart.within()};
}

Check code_is_not_the_example(const Loss& loss, uint64_t) {
  const std::vector<double> logits = logits_of(kExample), printed = {0.1, 0.1, 0.1, 1, 0.1};
  const std::vector<double> targets = code_targets(kLabel, std::ssize(logits), kAmount);
  const double code = weighted_hard_losses(loss, logits, targets).loss;
  const LossGradient example = loss(logits, kLabel, additive(kAmount));
  const Equivalent equivalent = as_uniform(additive(kAmount), std::ssize(logits));
  LossGradient scaled = loss(logits, kLabel, uniform(equivalent.amount));
  scaled.loss *= equivalent.scale;
  for (double& g : scaled.gradient) g *= equivalent.scale;
  Apart apart;
  apart.see(scaled, example);
  apart.see(example.loss, weighted_hard_losses(loss, logits, printed).loss);  // loss_2
  apart.see(loss(logits, kLabel, uniform(kAmount)).loss, code);
  return {.id = "code",
          .quote = "下面我们给出在使用标签平滑时的 softmax 损失的代码实现",
          .claim = "the code computes the smoothing of the worked example",
          .verdict = "false",
          .finding = fmt::format(
              "its loss there is {:.6f}, not {:.6f}, which is {:.2g} times the code's at e = {:.6f}", code,
              example.loss, equivalent.scale, equivalent.amount),
          .evidence = {{"code_target", targets},
                       {"code_loss", code},
                       {"example_target", printed},
                       {"example_loss", example.loss},
                       {"equivalent_amount", equivalent.amount},
                       {"equivalent_scale", equivalent.scale},
                       {"largest_difference", apart.value()}},
          .passed = apart.within() && std::abs(example.loss - code) > 0.1};
}

}  // namespace labelsmooth::verify
