// SPDX-License-Identifier: MIT
#include "study/model.h"

#include <cblas.h>  // cblas_sgemm, openblas_get_config, openblas_get_parallel, openblas_set_num_threads

#include <algorithm>  // std::copy, std::fill
#include <cmath>      // std::sqrt
#include <string>     // std::string

#include "random.h"

// What OpenBLAS itself calls before a fork; it is in no header, and not in its serial build.
extern "C" int blas_thread_shutdown_() __attribute__((weak));

namespace labelsmooth {
namespace {

// c = alpha a b + beta c, all row-major: a is (m, k), b is (k, n), or transposed.
void multiply(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int64_t m, int64_t n, int64_t k, const float* a,
              const float* b, float beta, float* c) {
  const auto columns = [](CBLAS_TRANSPOSE t, int64_t rows, int64_t cols) {
    return static_cast<blasint>(t == CblasNoTrans ? cols : rows);
  };
  cblas_sgemm(CblasRowMajor, ta, tb, static_cast<blasint>(m), static_cast<blasint>(n),
              static_cast<blasint>(k), 1, a, columns(ta, m, k), b, columns(tb, k, n), beta, c,
              static_cast<blasint>(n));
}

void descend(std::vector<float>& weight, std::vector<float>& velocity, const std::vector<float>& gradient,
             const Step& step, double decay) {
  const auto rate = static_cast<float>(step.rate), momentum = static_cast<float>(step.momentum);
  const auto shrink = static_cast<float>(1 - step.rate * decay / (1 - step.momentum));
  for (size_t i = 0; i < weight.size(); ++i) {
    velocity[i] = momentum * velocity[i] + gradient[i];
    weight[i] = shrink * weight[i] - rate * velocity[i];
  }
}

}  // namespace

Model::Model(std::vector<int64_t> sizes, uint64_t seed) {
  for (size_t l = 0; l + 1 < sizes.size(); ++l) {
    Layer layer;
    layer.in = sizes[l];
    layer.out = sizes[l + 1];
    layer.weight.resize(static_cast<size_t>(layer.in * layer.out));
    layer.bias.resize(static_cast<size_t>(layer.out));
    const double scale = std::sqrt(2. / static_cast<double>(layer.in));
    for (size_t i = 0; i < layer.weight.size(); ++i) {
      layer.weight[i] =
          static_cast<float>(scale * draw(seed, Stream::weights, static_cast<uint32_t>(l), i).normal());
    }
    layer.weight_velocity.resize(layer.weight.size());
    layer.bias_velocity.resize(layer.bias.size());
    layer.weight_gradient.resize(layer.weight.size());
    layer.bias_gradient.resize(layer.bias.size());
    layers_.push_back(std::move(layer));
  }
}

void Model::forward(const float* x, int64_t rows) {
  for (size_t l = 0; l < layers_.size(); ++l) {
    Layer& layer = layers_[l];
    layer.output.resize(static_cast<size_t>(rows * layer.out));
    for (int64_t row = 0; row < rows; ++row) {
      std::copy(layer.bias.begin(), layer.bias.end(), layer.output.begin() + row * layer.out);
    }
    const float* input = l == 0 ? x : layers_[l - 1].output.data();
    multiply(CblasNoTrans, CblasNoTrans, rows, layer.out, layer.in, input, layer.weight.data(), 1,
             layer.output.data());
    if (l + 1 == layers_.size()) continue;
    for (float& value : layer.output) value = value > 0 ? value : 0;
  }
}

// From the last layer's `gradient`, which is the loss's, to every layer's weights.
void Model::backward(const float* x, int64_t rows) {
  for (size_t l = layers_.size(); l-- > 0;) {
    Layer& layer = layers_[l];
    const float* input = l == 0 ? x : layers_[l - 1].output.data();
    multiply(CblasTrans, CblasNoTrans, layer.in, layer.out, rows, input, layer.gradient.data(), 0,
             layer.weight_gradient.data());
    std::fill(layer.bias_gradient.begin(), layer.bias_gradient.end(), 0.f);
    for (int64_t i = 0; i < rows * layer.out; ++i) layer.bias_gradient[i % layer.out] += layer.gradient[i];
    if (l == 0) return;
    Layer& below = layers_[l - 1];
    below.gradient.resize(below.output.size());
    multiply(CblasNoTrans, CblasTrans, rows, layer.in, layer.out, layer.gradient.data(), layer.weight.data(),
             0, below.gradient.data());
    for (size_t i = 0; i < below.gradient.size(); ++i) {
      if (below.output[i] <= 0) below.gradient[i] = 0;
    }
  }
}

std::span<const float> Model::logits(const float* x, int64_t rows) {
  forward(x, rows);
  return layers_.back().output;
}

Result Model::train(const float* x, std::span<const int64_t> labels, const Options& loss, const Step& step) {
  const auto rows = static_cast<int64_t>(labels.size());
  forward(x, rows);
  Layer& last = layers_.back();
  last.gradient.resize(last.output.size());
  const Result result = cross_entropy({last.output.data(), rows, last.out}, labels,
                                      {last.gradient.data(), rows, last.out}, loss);
  backward(x, rows);
  for (Layer& layer : layers_) {
    descend(layer.weight, layer.weight_velocity, layer.weight_gradient, step, step.weight_decay);
    descend(layer.bias, layer.bias_velocity, layer.bias_gradient, step, 0);
  }
  return result;
}

void use_one_blas_thread(int callers) {
  if (callers > 1 && openblas_get_parallel() == OPENBLAS_SEQUENTIAL) {
    throw Error("BLAS",
                std::string(openblas_get_config()) +
                    " found, which may not be called by several threads; install libopenblas0-pthread, or "
                    "ask for --threads 1");
  }
  openblas_set_num_threads(1);
}
const char* blas_description() { return openblas_get_config(); }
void end_blas_threads() {
  if (blas_thread_shutdown_ != nullptr) blas_thread_shutdown_();
}

}  // namespace labelsmooth
