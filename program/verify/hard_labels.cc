// SPDX-License-Identifier: MIT
// S1, S16: what hard labels see of the wrong classes. Their loss nothing but the sum, their gradient each
// one.
#include <fmt/format.h>  // fmt::format
#include <fmt/ranges.h>  // fmt::join

#include <algorithm>  // std::min

#include "verify/checks.h"
#include "verify/inputs.h"

namespace labelsmooth::verify {
namespace {

constexpr uint32_t kRows = 500;

// The same probability of the label, the rest shared evenly.
std::vector<double> evened(std::vector<double> probabilities, int64_t label) {
  const double share = (1 - probabilities[label]) / (static_cast<double>(probabilities.size()) - 1);
  for (size_t k = 0; k < probabilities.size(); ++k) {
    if (static_cast<int64_t>(k) != label) probabilities[k] = share;
  }
  return probabilities;
}

}  // namespace

Check hard_loss_sees_the_label_alone(const Loss& loss, uint64_t seed) {
  const std::vector<double> other = evened(kExample, kLabel);
  const auto loss_of = [&](const std::vector<double>& probabilities, double amount) {
    return loss(logits_of(probabilities), kLabel, uniform(amount)).loss;
  };
  const double hard = loss_of(kExample, 0), hard_other = loss_of(other, 0);
  const double smoothed = loss_of(kExample, kAmount), smoothed_other = loss_of(other, kAmount);
  Apart splits, printed;
  printed.see(hard, -std::log(0.36));  // loss_1 of the document
  splits.see(hard_other, hard);
  for (uint32_t i = 0; i < kRows; ++i) {
    const RandomRow row = random_row(seed, Topic::splits, i);
    splits.see(loss(logits_of(evened(row.probabilities, row.label)), row.label, kHard).loss,
               loss(row.logits, row.label, kHard).loss);
  }
  return {
      .id = "S1",
      .quote = "只考虑到训练样本中正确的标签位置…的损失，而忽略了错误标签位置…的损失",
      .claim = "the loss of a hard label depends on the probability of the label alone",
      .verdict = "true",
      .finding = fmt::format("two splits of the wrong mass: hard {:.6f} = {:.6f}, smoothed {:.6f} and {:.6f}",
                             hard, hard_other, smoothed, smoothed_other),
      .evidence = {{"splits", {kExample, other}},
                   {"hard", {hard, hard_other}},
                   {"smoothed", {smoothed, smoothed_other}},
                   {"random_rows", kRows},
                   {"largest_difference", splits.value()}},
      .passed = printed.within() && splits.within() && std::abs(smoothed - smoothed_other) > 1e-3};
}

Check hard_gradient_sees_every_class(const Loss& loss, uint64_t seed) {
  Apart apart;
  const auto see = [&](const std::vector<double>& probabilities, int64_t label,
                       const std::vector<double>& gradient) {
    for (size_t k = 0; k < probabilities.size(); ++k) {
      apart.see(gradient[k], probabilities[k] - (static_cast<int64_t>(k) == label ? 1 : 0));
    }
  };
  const std::vector<double> gradient = loss(logits_of(kExample), kLabel, kHard).gradient;
  see(kExample, kLabel, gradient);
  for (uint32_t i = 0; i < kRows; ++i) {
    const RandomRow row = random_row(seed, Topic::hard_gradient, i);
    see(row.probabilities, row.label, loss(row.logits, row.label, kHard).gradient);
  }
  return {
      .id = "S1",
      .quote = "忽略了错误标签位置…的损失",
      .claim = "training with hard labels ignores the wrong positions",
      .verdict = "false",
      .finding = fmt::format("the gradient is [{:.4g}]: each wrong logit is pushed down by its probability",
                             fmt::join(gradient, ", ")),
      .evidence = {{"gradient", gradient}, {"random_rows", kRows}, {"largest_difference", apart.value()}},
      .passed = apart.within()};
}

Check raising_one_is_lowering_the_rest(const Loss& loss, uint64_t seed) {
  Apart apart;
  double label_push = 0, wrong_push = 0;
  const auto see = [&](const std::vector<double>& logits, int64_t label) {
    const std::vector<double> gradient = loss(logits, label, kHard).gradient;
    label_push = gradient[label];
    wrong_push = 0;
    for (const double g : gradient) wrong_push += g;
    wrong_push -= label_push;
    apart.see(wrong_push, -label_push);
    apart.see(std::min(label_push, 0.), label_push);  // it does raise the label
  };
  for (uint32_t i = 0; i < kRows; ++i) {
    const RandomRow row = random_row(seed, Topic::balance, i);
    see(row.logits, row.label);
  }
  see(logits_of(kExample), kLabel);
  return {.id = "S16",
          .quote = "过于关注增大预测正确标签的概率，而不关注减少预测错误标签的概率",
          .claim = "hard labels attend to raising the label's probability, not to lowering the wrong ones",
          .verdict = "false",
          .finding =
              fmt::format("it is the same act: gradient {:.2f} at the label, {:+.2f} over the wrong classes",
                          label_push, wrong_push),
          .evidence = {{"label_gradient", label_push},
                       {"wrong_gradient_sum", wrong_push},
                       {"random_rows", kRows},
                       {"largest_difference", apart.value()}},
          .passed = apart.within() && wrong_push > 0.6};
}

}  // namespace labelsmooth::verify
