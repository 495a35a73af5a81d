// SPDX-License-Identifier: MIT
// The network against the same network written in double precision, its gradients by central differences.
#include "study/model.h"

#include <gtest/gtest.h>

#include <algorithm>  // std::max
#include <cmath>      // std::exp, std::log, std::sqrt
#include <vector>     // std::vector

#include "random.h"

namespace labelsmooth {
namespace {

using Sizes = std::vector<int64_t>;

/// All parameters in one vector: of every layer the weights (in, out), then the biases.
class Reference {
 public:
  Reference(Sizes sizes, uint64_t seed) : sizes_(std::move(sizes)) {
    for (size_t l = 0; l + 1 < sizes_.size(); ++l) {
      const double deviation = std::sqrt(2. / static_cast<double>(sizes_[l]));
      for (int64_t i = 0; i < sizes_[l] * sizes_[l + 1]; ++i) {
        const auto layer = static_cast<uint32_t>(l);
        // rounded as the network stores it
        const auto stored = static_cast<float>(deviation * draw(seed, Stream::weights, layer, i).normal());
        parameters_.push_back(stored);
        is_weight_.push_back(true);
      }
      parameters_.resize(parameters_.size() + sizes_[l + 1]);
      is_weight_.resize(parameters_.size());
    }
    velocity_.resize(parameters_.size());
  }

  std::vector<double> logits(const std::vector<float>& x) const {
    std::vector<double> all;
    for (size_t begin = 0; begin < x.size(); begin += sizes_[0]) {
      std::vector<double> values(x.begin() + begin, x.begin() + begin + sizes_[0]);
      size_t at = 0;
      for (size_t l = 0; l + 1 < sizes_.size(); ++l) {
        std::vector<double> next(sizes_[l + 1]);
        for (const double value : values) {
          for (double& sum : next) sum += value * parameters_[at++];
        }
        for (double& sum : next) {
          sum += parameters_[at++];
          if (l + 2 < sizes_.size()) sum = std::max(0., sum);
        }
        values = next;
      }
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  /// Mean over the rows of -sum_k ((1 - e) [k = y] + e / K) log p_k.
  double loss(const std::vector<float>& x, const std::vector<int64_t>& labels, double e) const {
    const std::vector<double> z = logits(x);
    const int64_t classes = sizes_.back();
    double sum = 0;
    for (size_t row = 0; row < labels.size(); ++row) {
      double normaliser = 0;
      for (int64_t k = 0; k < classes; ++k) normaliser += std::exp(z[row * classes + k]);
      for (int64_t k = 0; k < classes; ++k) {
        const double q = (k == labels[row] ? 1 - e : 0) + e / static_cast<double>(classes);
        sum += q * (std::log(normaliser) - z[row * classes + k]);
      }
    }
    return sum / static_cast<double>(labels.size());
  }

  void step(const std::vector<float>& x, const std::vector<int64_t>& labels, double e, const Step& step) {
    std::vector<double> gradient;
    for (double& parameter : parameters_) {
      constexpr double h = 1e-5;
      const double before = parameter;
      parameter = before + h;
      const double above = loss(x, labels, e);
      parameter = before - h;
      gradient.push_back((above - loss(x, labels, e)) / (2 * h));
      parameter = before;
    }
    for (size_t i = 0; i < parameters_.size(); ++i) {
      velocity_[i] = step.momentum * velocity_[i] + gradient[i];
      const double decay = is_weight_[i] ? step.weight_decay / (1 - step.momentum) * parameters_[i] : 0;
      parameters_[i] -= step.rate * (velocity_[i] + decay);
    }
  }

 private:
  Sizes sizes_;
  std::vector<double> parameters_, velocity_;
  std::vector<bool> is_weight_;
};

struct Batch {
  std::vector<float> x;
  std::vector<int64_t> labels;
};
Batch batch_of(int64_t rows, int64_t features, int64_t classes, uint64_t seed) {
  Batch batch;
  for (int64_t i = 0; i < rows * features; ++i) {
    batch.x.push_back(static_cast<float>(draw(seed, Stream::split, 0, i).normal()));
  }
  for (int64_t row = 0; row < rows; ++row) {
    batch.labels.push_back(draw(seed, Stream::noise, 0, row).below(static_cast<uint32_t>(classes)));
  }
  return batch;
}

// f32 keeps 2^-24 of every product and sum: some ten of them make a logit of size 1 or so, and each step adds
// its own.
constexpr double kTolerance = 3e-6;

void expect_same(Model& model, const Reference& reference, const Batch& batch, double tolerance,
                 const char* when) {
  const auto rows = static_cast<int64_t>(batch.labels.size());
  const std::span<const float> found = model.logits(batch.x.data(), rows);
  const std::vector<double> expected = reference.logits(batch.x);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], tolerance) << when << " " << i;
}

TEST(Model, StartsAsSpecified) {
  const Batch batch = batch_of(5, 3, 3, 1);
  for (const Sizes& sizes : {Sizes{3, 3}, Sizes{3, 4, 3}, Sizes{3, 6, 5, 3}}) {
    Model model(sizes, 9);
    expect_same(model, Reference(sizes, 9), batch, kTolerance, "start");
  }
}

// A rate this high and a decay this strong make every term count: without momentum, decay, or with decay on
// the biases too, the logits are off by more than a hundredth.
TEST(Model, StepsAsSpecified) {
  for (const Sizes& sizes : {Sizes{3, 3}, Sizes{3, 4, 3}, Sizes{3, 6, 5, 3}}) {
    for (const Step& step : {Step{.1, 0, 0}, Step{.1, .9, 0}, Step{.1, 0, .5}, Step{.1, .9, .5}}) {
      Model model(sizes, 2);
      Reference reference(sizes, 2);
      for (int i = 0; i < 5; ++i) {
        const Batch batch = batch_of(4 + i, 3, 3, 10 + i);  // of different sizes, as the last of an epoch is
        model.train(batch.x.data(), batch.labels, {.smoothing = uniform(.1)}, step);
        reference.step(batch.x, batch.labels, .1, step);
      }
      expect_same(model, reference, batch_of(5, 3, 3, 1), 5 * kTolerance, "five steps");
    }
  }
}

TEST(Model, AStepReturnsTheLossBeforeIt) {
  const Sizes sizes = {3, 4, 3};
  const Batch batch = batch_of(6, 3, 3, 1);
  Model model(sizes, 9);
  const Reference reference(sizes, 9);
  const Result result = model.train(batch.x.data(), batch.labels, {.smoothing = uniform(.3)}, {.1, 0, 0});
  EXPECT_NEAR(result.loss, reference.loss(batch.x, batch.labels, .3), kTolerance);
  EXPECT_NEAR(result.nll, reference.loss(batch.x, batch.labels, 0), kTolerance);
  EXPECT_EQ(result.rows, 6);
}

// Two clouds ten deviations apart.
TEST(Model, LearnsWhatIsSeparable) {
  Batch batch = batch_of(40, 2, 2, 3);
  for (size_t row = 0; row < 40; ++row) batch.x[2 * row] += batch.labels[row] == 0 ? -5 : 5;
  Model model({2, 8, 2}, 4);
  double first = 0, last = 0;
  for (int i = 0; i < 50; ++i) {
    last = model.train(batch.x.data(), batch.labels, {}, {.05, .9, 0}).loss;
    if (i == 0) first = last;
  }
  EXPECT_GT(first, .1);
  EXPECT_LT(last, .01);
  EXPECT_EQ(model.train(batch.x.data(), batch.labels, {}, {0, 0, 0}).correct, 40);
}

TEST(Model, SameSeedSameBits) {
  const Batch batch = batch_of(6, 3, 3, 1);
  const auto trained = [&](uint64_t seed) {
    Model model({3, 4, 3}, seed);
    for (int i = 0; i < 3; ++i) model.train(batch.x.data(), batch.labels, {}, {.1, .9, .01});
    const auto logits = model.logits(batch.x.data(), 6);
    return std::vector<float>(logits.begin(), logits.end());
  };
  EXPECT_EQ(trained(1), trained(1));
  EXPECT_NE(trained(1), trained(2));
}

TEST(Model, ACopyIsIndependent) {
  const Batch batch = batch_of(6, 3, 3, 1);
  Model model({3, 4, 3}, 1), copy = model;
  const auto logits = copy.logits(batch.x.data(), 6);
  const std::vector<float> before(logits.begin(), logits.end());
  model.train(batch.x.data(), batch.labels, {}, {.1, .9, 0});
  const auto again = copy.logits(batch.x.data(), 6);
  EXPECT_EQ(std::vector<float>(again.begin(), again.end()), before);
}

}  // namespace
}  // namespace labelsmooth
