// SPDX-License-Identifier: MIT
#include "study/noise.h"

#include <algorithm>  // std::find
#include <array>      // std::array

#include "random.h"

namespace labelsmooth {
namespace {

// The classes that `label` may be mistaken for, itself among them.
std::vector<int64_t> look_alikes(int64_t label, int64_t classes, NoiseKind kind) {
  if (kind == NoiseKind::symmetric) {
    std::vector<int64_t> all(static_cast<size_t>(classes));
    for (int64_t k = 0; k < classes; ++k) all[k] = k;
    return all;
  }
  for (const std::vector<int64_t>& group : {std::vector<int64_t>{0, 2, 4, 6}, {7, 9}}) {
    if (std::find(group.begin(), group.end(), label) != group.end()) return group;
  }
  return {label};
}

}  // namespace

std::string name(NoiseKind kind) { return kind == NoiseKind::symmetric ? "symmetric" : "class-dependent"; }

int64_t noisy_label(int64_t label, int64_t classes, const Noise& noise, uint64_t seed, uint64_t index) {
  const Draw random = draw(seed, Stream::noise, 0, index);
  if (random.uniform(0) >= noise.rate) return label;
  std::vector<int64_t> others = look_alikes(label, classes, noise.kind);
  std::erase(others, label);
  return others.empty() ? label : others[random.below(static_cast<uint32_t>(others.size()), 1)];
}

}  // namespace labelsmooth
