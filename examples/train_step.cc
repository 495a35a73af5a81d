// SPDX-License-Identifier: MIT
// Gradient descent on the logits of one batch: the loss stops at the floor that the smoothing sets, and the
// label's probability at 1 - e + e / K.
#include <cstdint>  // int64_t
#include <cstdio>   // std::printf
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"

int main() {
  using namespace labelsmooth;
  constexpr int64_t kRows = 4, kClasses = 5;
  const std::vector<int> labels = {3, 0, 4, -100};  // the last row does not count
  std::vector<float> z(kRows * kClasses), dz(z.size());
  const Options options = {.smoothing = uniform(0.1)};

  double loss = 0;
  std::vector<double> confidence(kRows);
  for (int step = 0; step <= 2000; ++step) {
    loss = cross_entropy({z.data(), kRows, kClasses}, labels, {dz.data(), kRows, kClasses}, options,
                         {.confidence = confidence})
               .loss;
    if (step % 500 == 0) std::printf("step %4d  loss %.6f  p_y %.4f\n", step, loss, confidence[0]);
    for (size_t i = 0; i < z.size(); ++i) z[i] -= 3 * dz[i];
  }
  const Optimum best = optimum(options.smoothing, kClasses);
  std::printf("floor      loss %.6f  p_y %.4f\n", best.floor, best.probability);
  return loss - best.floor < 1e-4 ? 0 : 1;
}
