// SPDX-License-Identifier: MIT
// Wrong labels on purpose, so that the claim of immunity can be tested.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <string>   // std::string
#include <vector>   // std::vector

namespace labelsmooth {

/// symmetric: to a class drawn uniformly from the others, with probability `rate`.
/// class_dependent: only within Fashion-MNIST's look-alikes (T-shirt, pullover, coat, shirt; sneaker, boot),
/// to a class drawn uniformly from the group's others, with probability `rate` for the classes of a group.
enum class NoiseKind : uint8_t { symmetric, class_dependent };

struct Noise {
  double rate = 0;
  NoiseKind kind = NoiseKind::symmetric;
};
std::string name(NoiseKind kind);

/// The label that training sees for image `index` of the pool. A pure function: the same seed corrupts the
/// same images, and every image that a lower rate corrupts a higher one corrupts too.
int64_t noisy_label(int64_t label, int64_t classes, const Noise& noise, uint64_t seed, uint64_t index);

}  // namespace labelsmooth
