// SPDX-License-Identifier: MIT
// S13: logistic regression without weight decay, trained by gradient descent through the loss.
#include <fmt/format.h>  // fmt::format

#include <algorithm>  // std::max
#include <array>      // std::array
#include <cmath>      // std::abs, std::hypot
#include <span>       // std::span

#include "verify/checks.h"
#include "verify/inputs.h"

namespace labelsmooth::verify {
namespace {

struct Example {
  double x;
  int64_t label;
};
constexpr Example kSeparable[] = {{-2, 0}, {-0.5, 0}, {1, 1}, {3, 1}};
constexpr Example kOverlapping[] = {{-2, 0}, {-0.5, 0}, {1, 1}, {3, 1}, {-1, 1}, {2, 0}};

constexpr int kSteps = 1000;  // t: norms are taken at t, 2t, 4t

struct Trained {
  std::array<double, 3> norms;
  double largest_output = 0;  // after 4t steps
  nlohmann::json json() const { return {{"norms", norms}, {"largest_output", largest_output}}; }
  bool settled() const { return std::abs(norms[2] - norms[1]) < 1e-6 * norms[2]; }
};

// P(1|x) = 1 / (1 + exp(-(w x + c))), the document's F7: the softmax of (0, w x + c).
Trained train(const Loss& loss, std::span<const Example> examples, double amount) {
  double w = 0, c = 0;
  Trained trained;
  int step = 0;
  for (int i = 0; i < 3; ++i) {
    for (; step < kSteps << i; ++step) {
      double dw = 0, dc = 0;
      for (const auto& [x, label] : examples) {
        const double dz = loss(std::array{0., w * x + c}, label, flip(amount)).gradient[1];
        dw += dz * x;
        dc += dz;
      }
      w -= dw / static_cast<double>(examples.size());
      c -= dc / static_cast<double>(examples.size());
    }
    trained.norms[i] = std::hypot(w, c);
  }
  for (const auto& [x, label] : examples) {
    const double output = loss(std::array{0., w * x + c}, 0, kHard).gradient[1];
    trained.largest_output = std::max(trained.largest_output, output);
  }
  return trained;
}

}  // namespace

Check weights_grow_without_bound(const Loss& loss, uint64_t) {
  const Trained hard = train(loss, kSeparable, 0), smoothed = train(loss, kSeparable, kAmount);
  const double first = hard.norms[1] - hard.norms[0], second = hard.norms[2] - hard.norms[1];
  return {.id = "S13",
          .quote = "模型输出永远不可能达到 0 和 1，因此模型会不断增大 w",
          .claim = "the output never reaches 0 or 1, so the model keeps enlarging w",
          .verdict = "true",
          .finding =
              fmt::format("separable data, |w| at t, 2t, 4t: hard {:.3f}, {:.3f}, {:.3f}; smoothed {:.3f}, "
                          "{:.3f}, {:.3f}",
                          hard.norms[0], hard.norms[1], hard.norms[2], smoothed.norms[0], smoothed.norms[1],
                          smoothed.norms[2]),
          .evidence = {{"steps", kSteps},
                       {"amount", kAmount},
                       {"hard", hard.json()},
                       {"smoothed", smoothed.json()}},
          // as log t: each doubling adds the same
          .passed = first > 0.1 && second > 0.8 * first && hard.largest_output < 1 && smoothed.settled()};
}

Check weights_settle_where_classes_overlap(const Loss& loss, uint64_t) {
  const Trained hard = train(loss, kOverlapping, 0), smoothed = train(loss, kOverlapping, kAmount);
  return {.id = "S13",
          .quote = "模型会不断增大 w",
          .claim = "the model keeps enlarging w on any data",
          .verdict = "conditional",
          .finding = fmt::format(
              "only where the classes separate: where they overlap, hard labels settle too, at {:.4f}",
              hard.norms[2]),
          .evidence = {{"steps", kSteps},
                       {"amount", kAmount},
                       {"hard", hard.json()},
                       {"smoothed", smoothed.json()}},
          .passed = hard.settled() && smoothed.settled() && smoothed.norms[2] < hard.norms[2]};
}

}  // namespace labelsmooth::verify
