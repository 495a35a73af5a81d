// SPDX-License-Identifier: MIT
// The study's network: a multilayer perceptron on CBLAS, trained by our own loss. A toy on purpose; real
// networks are trained in the user's own framework.
#pragma once

#include <cstdint>  // int64_t, uint64_t
#include <span>     // std::span
#include <vector>   // std::vector

#include "labelsmooth/cross_entropy.h"

namespace labelsmooth {

/// One step of stochastic gradient descent: velocity = momentum * velocity + gradient;
/// weight -= rate * (velocity + weight_decay / (1 - momentum) * weight), decay on weights only. Decoupled:
/// decay stays out of the velocity. Its factor 1 / (1 - momentum) is the velocity's own in the long run, so
/// that a weight_decay means what it does where decay is added to the gradient.
struct Step {
  double rate, momentum, weight_decay;
};

class Model {
 public:
  /// sizes = (features, hidden..., classes), ReLU between; He initialisation, biases 0.
  Model(std::vector<int64_t> sizes, uint64_t seed);

  /// x (rows, features) -> logits (rows, classes), valid until the next call.
  std::span<const float> logits(const float* x, int64_t rows);
  /// One step on one batch; returns the loss of the batch before it.
  Result train(const float* x, std::span<const int64_t> labels, const Options& loss, const Step& step);

 private:
  struct Layer {
    int64_t in, out;
    std::vector<float> weight, bias;  // (in, out), (out,)
    std::vector<float> weight_velocity, bias_velocity;
    std::vector<float> output, gradient;  // (rows, out): after the ReLU, and of the loss in it
    std::vector<float> weight_gradient, bias_gradient;
  };
  void forward(const float* x, int64_t rows);
  void backward(const float* x, int64_t rows);

  std::vector<Layer> layers_;
};

/// BLAS calls stay on the calling thread: whole trainings run side by side, and sums keep their order. Throws
/// Error for several callers, threads that train, where OpenBLAS is built without locks: they then share its
/// buffers, and trainings diverge.
void use_one_blas_thread(int callers);
/// What the BLAS says of itself, for `info`.
const char* blas_description();
/// OpenBLAS starts its threads when it is loaded, and they look for work without a pause for their first 0.1
/// s. Ends them: whoever wants them starts them again by use_one_blas_thread.
void end_blas_threads();

}  // namespace labelsmooth
