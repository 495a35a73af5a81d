// SPDX-License-Identifier: MIT
#include "convert/convention.h"

#include <algorithm>  // std::find_if, std::min
#include <iterator>   // std::begin, std::end

#include "smoothing_of.h"

namespace labelsmooth {
namespace {

constexpr const char* kMinusEntropy = "subtracts the target's entropy from the loss: the same gradient";

constexpr Convention kConventions[] = {
    {"uniform", "uniform", ""},
    {"others", "others", ""},
    {"flip", "flip", ""},
    {"additive", "additive", ""},
    {"keras-binary", "uniform", "y (1 - e) + e / 2 of one output: a class and its opposite", 0, 2},
    {"classy-vision", "uniform", "(y + e / K) / (1 + e), in mmpretrain's mode classy_vision too", 1},
    {"apex", "uniform", ""},
    {"burn", "uniform", ""},
    {"flash-attn", "uniform", ""},
    {"flashlight", "uniform", ""},
    {"flux", "uniform", "on its default dimension; with dims=0 it is keras-binary"},
    {"huggingface", "uniform", "LabelSmoother of transformers"},
    {"jax", "uniform", "through optax"},
    {"keras", "uniform", "categorical losses; binary ones are keras-binary"},
    {"liger", "uniform", ""},
    {"marian", "uniform", ""},
    {"mlx", "uniform", ""},
    {"opennmt", "uniform", "today's; its old loss gave the padding no mass, which is no rule of this kind"},
    {"optax", "uniform", ""},
    {"paddle", "uniform", "without prior_dist"},
    {"pytorch", "uniform", ""},
    {"tensorflow", "uniform", "categorical losses; binary ones are keras-binary"},
    {"timm", "uniform", ""},
    {"tinygrad", "uniform", ""},
    {"transformer-engine", "uniform", ""},
    {"fairseq", "others", ""},
    {"lightseq", "others", ""},
    {"megatron", "others", "with tensor parallelism it takes the shard's classes for K"},
    {"mxnet", "others", "SoftmaxOutput's smooth_alpha, which smooths the gradient only"},
    {"nemo", "others", ""},
    {"sockeye", "others", ""},
    {"t5x", "others", kMinusEntropy},
    {"tensor2tensor", "others", kMinusEntropy},
    {"wenet", "others", kMinusEntropy},
};

}  // namespace

std::span<const Convention> conventions() { return kConventions; }

const Convention* find_convention(const std::string& name) {
  const auto* found = std::find_if(std::begin(kConventions), std::end(kConventions),
                                   [&](const Convention& one) { return one.name == name; });
  return found == std::end(kConventions) ? nullptr : found;
}

Smoothing smoothing_of(const Convention& convention, double amount) {
  return smoothing_of(convention.rule, amount / (1 + convention.divisor * amount));
}

Equivalent convert(const Smoothing& smoothing, const Convention& to, int64_t classes) {
  Equivalent found = convert(smoothing, smoothing_of(to.rule, 0).rule, classes);
  const double amount = found.amount / (1 - to.divisor * found.amount);
  constexpr double kRounding = 1e-12;
  if (!(amount <= 1 + kRounding)) throw Error("smoothing", "no amount in 0 to 1 has the same optimum");
  found.amount = std::min(amount, 1.);
  return found;
}

}  // namespace labelsmooth
