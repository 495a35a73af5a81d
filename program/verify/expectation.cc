// SPDX-License-Identifier: MIT
// S4, S9, S10, F1: the mean loss over random labels is the loss of the smoothed label, exactly, since
// cross-entropy is linear in the label.
#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::max
#include <array>      // std::array

#include "labelsmooth/smoothing.h"
#include "smoothing_of.h"
#include "verify/checks.h"
#include "verify/inputs.h"
#include "verify/processes.h"

namespace labelsmooth::verify {
namespace {

constexpr uint32_t kRows = 300;

}  // namespace

Check loss_is_linear_in_the_label(const Loss& loss, uint64_t seed) {
  Apart apart;
  for (const char* rule : kSmoothingRules) {
    for (uint32_t i = 0; i < kRows; ++i) {
      const RandomRow row = random_row(seed, Topic::linearity, i);
      const Smoothing smoothing = smoothing_of(rule, row.amount);
      apart.see(loss(row.logits, row.label, smoothing),
                weighted_hard_losses(loss, row.logits, target(smoothing, row.classes, row.label)));
    }
  }
  return {
      .id = "S4",
      .quote = "在训练时即假设标签可能存在错误…当目标函数为交叉熵时，这一思想有非常简单的实现，称为标签平滑",
      .claim = "for cross-entropy, assuming wrong labels is as simple as smoothing them",
      .verdict = "true",
      .finding = fmt::format("loss and gradient are linear in the label, to {:.1e} on {} random rows",
                             apart.value(), kRows * kSmoothingRules.size()),
      .evidence = {{"rules", kSmoothingRules},
                   {"random_rows", kRows * kSmoothingRules.size()},
                   {"largest_difference", apart.value()}},
      .passed = apart.within()};
}

Check enumerated_flips(const Loss& loss, uint64_t seed) {
  nlohmann::json evidence = {{"random_rows", kRows}};
  double largest = 0;
  bool passed = true;
  for (const Process& process : {kResample, kDifferent, kBinary}) {
    Apart apart;
    for (uint32_t i = 0; i < kRows; ++i) {
      const RandomRow row = random_row(seed, Topic::flips, i, process.classes);
      apart.see(
          loss(row.logits, row.label, smoothing_of(process.rule, row.amount)),
          weighted_hard_losses(loss, row.logits, process.probabilities(row.label, row.classes, row.amount)));
    }
    evidence["processes"].push_back(
        {{"process", process.name}, {"rule", process.rule}, {"largest_difference", apart.value()}});
    largest = std::max(largest, apart.value());
    passed = passed && apart.within();
  }
  return {
      .id = "S9",
      .quote = "是否意味着我们在每次训练时，都需要对标签进行随机化处理呢？答案是否定的",
      .claim =
          "labels need not be drawn at random: all draws, by their probabilities, give the smoothed label",
      .verdict = "true",
      .finding = fmt::format("loss and gradient agree to {:.1e}: resampled = uniform, to another class = "
                             "others, binary = flip",
                             largest),
      .evidence = evidence,
      .passed = passed};
}

Check binary_derivation(const Loss& loss, uint64_t seed) {
  Apart weighted, replaced;
  for (uint32_t i = 0; i < kRows; ++i) {
    const RandomRow row = random_row(seed, Topic::binary, i, 2);
    const double e = row.amount, y = static_cast<double>(row.label);
    const double smoothed_label = e * (1 - y) + (1 - e) * y;  // F4
    const LossGradient found = loss(row.logits, row.label, flip(e));
    const LossGradient right = loss(row.logits, row.label, kHard),
                       wrong = loss(row.logits, 1 - row.label, kHard);
    weighted.see((1 - e) * right.loss + e * wrong.loss, found.loss);  // F3, with its logarithm
    for (size_t k = 0; k < 2; ++k) {
      weighted.see((1 - e) * right.gradient[k] + e * wrong.gradient[k], found.gradient[k]);
    }
    replaced.see(weighted_hard_losses(loss, row.logits, {1 - smoothed_label, smoothed_label}), found);  // F5
  }
  return {.id = "S10",
          .quote = "等价于：把每个标签 y 换成了 y′，然后再进行正常的训练过程",
          .claim = "for two classes, the weighted mean of both losses is the same loss with y' in place of y",
          .verdict = "true",
          .finding = fmt::format("with the logarithm, F3 = F5 = flip on {} random rows, to {:.1e}", kRows,
                                 std::max(weighted.value(), replaced.value())),
          .evidence = {{"random_rows", kRows},
                       {"weighted_mean_difference", weighted.value()},
                       {"replaced_label_difference", replaced.value()}},
          .passed = weighted.within() && replaced.within()};
}

// The document prints the loss without its logarithm: F1 and F5 are formulas of the document alone.
Check printed_derivation(const Loss& loss, uint64_t) {
  constexpr double kFar = 12;
  constexpr int kSteps = 2400;
  const auto printed_loss = [](double y, double q) { return -y * q - (1 - y) * (1 - q); };
  Apart affine_in_f1;
  double printed_best = 0, printed_at = 0, best = 0, at = 0;
  for (int i = 0; i <= kSteps; ++i) {
    const double z = kFar * (2. * i / kSteps - 1);
    const std::array logits = {0., z};
    const double q = loss(logits, 0, kHard).gradient[1];  // P(1|x)
    for (const double y : {0., 1.}) {
      for (const double e : {0.05, 0.1, 0.3, 0.45}) {
        affine_in_f1.see(printed_loss(e * (1 - y) + (1 - e) * y, q), (1 - 2 * e) * printed_loss(y, q) - e);
      }
    }
    const double printed = printed_loss(1 - kAmount, q), true_loss = loss(logits, 1, flip(kAmount)).loss;
    if (i == 0 || printed < printed_best) printed_best = printed, printed_at = z;
    if (i == 0 || true_loss < best) best = true_loss, at = z;
  }
  Apart where;
  where.see(at, optimum(flip(kAmount), 2, 1).gap);
  return {.id = "F1",
          .quote = "L = -y P(1|x) - (1-y) P(0|x)",
          .claim = "the cross-entropy is -y P(1|x) - (1-y) P(0|x), as printed",
          .verdict = "false",
          .finding = fmt::format("no logarithm: F5 = (1-2e) F1 - e falls up to the end of the grid, z = "
                                 "{:g}; with the logarithm the least is at {:.2f}",
                                 printed_at, at),
          .evidence = {{"f1_at_0.9", printed_loss(1, 0.9)},
                       {"f5_at_0.9", printed_loss(1 - kAmount, 0.9)},
                       {"largest_difference", affine_in_f1.value()},
                       {"grid_end", kFar},
                       {"printed_optimum_logit", printed_at},
                       {"cross_entropy_optimum_logit", at}},
          .passed = affine_in_f1.within() && printed_at == kFar && where.within(2 * kFar / kSteps)};
}

}  // namespace labelsmooth::verify
