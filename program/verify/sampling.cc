// SPDX-License-Identifier: MIT
// S7, S9: labels really drawn at random, against the smoothed label.
#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::max, std::min
#include <cmath>      // std::abs, std::isnan, std::sqrt
#include <iterator>   // std::ssize

#include "smoothing_of.h"
#include "verify/checks.h"
#include "verify/inputs.h"
#include "verify/processes.h"

namespace labelsmooth::verify {
namespace {

// A standard error is then a few 1e-4; uniform and others differ by more than fifty of them.
constexpr uint64_t kDraws = 1 << 20;
constexpr double kStandardErrors = 5;

struct Sampled {
  double changed = 0;   // the share of labels that were
  double loss = 0;      // mean over the draws
  double smoothed = 0;  // the loss that it should be
  double variance = 0, sampled_variance = 0;
  double largest_z = 0;  // over the loss, its variance and each component of the gradient
  nlohmann::json json() const {
    return {{"draws", kDraws},
            {"changed", changed},
            {"mean_loss", loss},
            {"smoothed_loss", smoothed},
            {"largest_z", largest_z},
            {"variance", variance},
            {"sampled_variance", sampled_variance}};
  }
};

double mean(const std::vector<double>& weights, const std::vector<double>& values) {
  double sum = 0;
  for (size_t k = 0; k < weights.size(); ++k) sum += weights[k] * values[k];
  return sum;
}

std::vector<double> squared_deviations(std::vector<double> values, double mean) {
  for (double& value : values) value = (value - mean) * (value - mean);
  return values;
}

// How many of its standard errors the mean over the draws is from `expected`.
double z_of(const std::vector<double>& shares, const std::vector<double>& probabilities,
            const std::vector<double>& values, double expected) {
  const double variance = mean(probabilities, squared_deviations(values, mean(probabilities, values)));
  return std::abs(mean(shares, values) - expected) / std::sqrt(variance / kDraws);
}

Sampled sample(const Loss& loss, const Process& process, const std::vector<double>& logits, int64_t label,
               uint64_t seed, Topic topic, uint64_t attempt) {
  const auto classes = static_cast<int64_t>(logits.size());
  std::vector<double> shares(logits.size()), losses;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const Draw random = draw(seed, Stream::verify, static_cast<uint32_t>(topic), attempt * kDraws + i);
    shares[process.sample(label, classes, kAmount, random)] += 1. / kDraws;
  }
  std::vector<LossGradient> hard;
  for (int64_t k = 0; k < classes; ++k) losses.push_back(hard.emplace_back(loss(logits, k, kHard)).loss);
  const std::vector<double> probabilities = process.probabilities(label, classes, kAmount);
  const LossGradient smoothed = loss(logits, label, smoothing_of(process.rule, kAmount));

  Sampled found;
  found.changed = 1 - shares[label];
  found.loss = mean(shares, losses);
  found.smoothed = smoothed.loss;
  const std::vector<double> deviations = squared_deviations(losses, smoothed.loss);
  found.variance = mean(probabilities, deviations);
  found.sampled_variance = mean(shares, squared_deviations(losses, found.loss));
  const auto see = [&](const std::vector<double>& values, double expected) {
    const double z = z_of(shares, probabilities, values, expected);
    if (std::isnan(z) || z > found.largest_z) found.largest_z = z;
  };
  see(losses, smoothed.loss);
  see(deviations, found.variance);
  for (int64_t k = 0; k < classes; ++k) {
    std::vector<double> components;
    for (const LossGradient& one : hard) components.push_back(one.gradient[k]);
    see(components, smoothed.gradient[k]);
  }
  return found;
}

// By chance, some z is beyond 5 for one seed in 100,000. Then all is drawn afresh, once: for both it takes
// one seed in 10^10.
Sampled sample(const Loss& loss, const Process& process, const std::vector<double>& logits, int64_t label,
               uint64_t seed, Topic topic) {
  const Sampled found = sample(loss, process, logits, label, seed, topic, 0);
  return found.largest_z < kStandardErrors ? found : sample(loss, process, logits, label, seed, topic, 1);
}

}  // namespace

Check sampled_binary_flips(const Loss& loss, uint64_t seed) {
  const Sampled found = sample(loss, kBinary, logits_of({1 - kExample[kLabel], kExample[kLabel]}), 1, seed,
                               Topic::sampled_binary);
  return {
      .id = "S7",
      .quote = "以 1-ε 的概率将(x, y)代入训练，以 ε 的概率将(x, 1-y)代入训练",
      .claim = "train on (x, y) with probability 1-e, on (x, 1-y) with probability e",
      .verdict = "true",
      .finding = fmt::format("{} draws: {:.4f} flipped, mean loss {:.5f}, smoothed {:.5f}; largest z {:.2f}",
                             kDraws, found.changed, found.loss, found.smoothed, found.largest_z),
      .evidence = found.json(),
      .passed = found.largest_z < kStandardErrors};
}

Check sampled_labels(const Loss& loss, uint64_t seed) {
  const std::vector<double> logits = logits_of(kExample);
  const Sampled uniform = sample(loss, kResample, logits, kLabel, seed, Topic::sampled_uniform);
  const Sampled others = sample(loss, kDifferent, logits, kLabel, seed, Topic::sampled_others);
  return {.id = "S9",
          .quote = "我们并不需要在训练前进行随机化处理，只需要把每个标签替换一下即可",
          .claim = "labels drawn at random have the smoothed label's loss and gradient on average",
          .verdict = "true",
          .finding = fmt::format(
              "{} draws: uniform {:.5f} (smoothed {:.5f}), others {:.5f} ({:.5f}); largest z {:.2f}", kDraws,
              uniform.loss, uniform.smoothed, others.loss, others.smoothed,
              std::max(uniform.largest_z, others.largest_z)),
          .evidence = {{"uniform", uniform.json()}, {"others", others.json()}},
          .passed = uniform.largest_z < kStandardErrors && others.largest_z < kStandardErrors};
}

Check spread_of_sampled_labels(const Loss& loss, uint64_t) {
  const std::vector<double> logits = logits_of(kExample);
  nlohmann::json evidence;
  Apart identity;
  double least = 1;
  for (const Process& process : {kResample, kDifferent}) {
    const std::vector<double> probabilities = process.probabilities(kLabel, std::ssize(logits), kAmount);
    const double smoothed = loss(logits, kLabel, smoothing_of(process.rule, kAmount)).loss;
    std::vector<double> losses, squares;
    for (int64_t k = 0; k < std::ssize(logits); ++k) {
      losses.push_back(loss(logits, k, kHard).loss);
      squares.push_back(losses.back() * losses.back());
    }
    const double variance = mean(probabilities, squares) - smoothed * smoothed;
    identity.see(variance, mean(probabilities, squared_deviations(losses, smoothed)));
    evidence["variance"][process.rule] = variance;
    least = std::min(least, variance);
  }
  evidence["largest_difference"] = identity.value();
  return {.id = "S9",
          .quote = "只需要把每个标签替换一下即可",
          .claim = "replacing the label is the same training as drawing it",
          .verdict = "conditional",
          .finding = fmt::format(
              "the same on average, not draw by draw: the loss of a drawn label has variance {:.5f}, "
              "of the smoothed one 0",
              evidence["variance"]["uniform"].get<double>()),
          .evidence = evidence,
          .passed = least > 0.01 && identity.within()};
}

}  // namespace labelsmooth::verify
