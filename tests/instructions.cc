// SPDX-License-Identifier: MIT
// Calls the loss once for each of a handful of works, inside `counted`, and prints their names in that order:
// callgrind counts the instructions of each (instructions_test.py). Exits with 77 where there is no AVX2.
#include <algorithm>  // std::find, std::max
#include <cstdio>     // std::puts
#include <random>     // std::mt19937, std::normal_distribution
#include <string>     // std::string
#include <vector>     // std::vector

#include "labelsmooth/cross_entropy.h"
#include "labelsmooth/isa.h"
#include "labelsmooth/parallel.h"
#include "storage.h"

namespace labelsmooth {
namespace {

struct Work {
  DType dtype;
  int64_t outer, classes, inner;
  bool backward;
  std::string name() const {
    std::string text = backward ? "forward_backward/" : "forward/";
    text.append(labelsmooth::name(dtype)).append("/").append(std::to_string(outer));
    text.append("x").append(std::to_string(classes));
    return inner == 1 ? text : text.append("x").append(std::to_string(inner));
  }
};

template <class S>
class Batch {
 public:
  explicit Batch(const Work& work) : work_(work) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 3.5f);
    logits_.resize(static_cast<size_t>(work.outer * work.classes * work.inner));
    for (S& z : logits_) store(normal(random), z);
    gradient_.resize(logits_.size());
    for (int64_t i = 0; i < work.outer * work.inner; ++i) {
      labels_.push_back(static_cast<int64_t>(random()) % work.classes);
    }
  }
  void call() {
    const Logits logits(logits_.data(), work_.outer, work_.classes, work_.inner);
    const Options options = {.smoothing = uniform(0.1)};
    if (work_.backward) {
      cross_entropy(logits, labels_, {gradient_.data(), work_.outer, work_.classes, work_.inner}, options);
    } else {
      cross_entropy(logits, labels_, options);
    }
  }

 private:
  Work work_;
  std::vector<S> logits_, gradient_;
  std::vector<int64_t> labels_;
};

}  // namespace
}  // namespace labelsmooth

// What callgrind looks for by name. A call through a volatile pointer is not inlined.
extern "C" void counted(void (*call)(void*), void* batch) { call(batch); }
void (*volatile count)(void (*)(void*), void*) = counted;

int main() {
  using namespace labelsmooth;
  const std::vector<std::string> usable = usable_isas();
  if (std::find(usable.begin(), usable.end(), "AVX2") == usable.end()) return 77;
  set_isa("AVX2");  // valgrind knows no AVX-512
  set_threads(1);
  std::vector<Work> works;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t classes : {2, 10, 100, 1000, 32'000}) {
      for (const bool backward : {false, true}) {
        works.push_back({dtype, std::max<int64_t>(2, 20'000 / classes), classes, 1, backward});
      }
    }
    works.push_back({dtype, 2, 19, 512, true});  // the class axis is not the last
  }
  for (const Work& work : works) {
    with_storage(work.dtype, [&]<class S>() {
      Batch<S> batch(work);
      batch.call();  // what only the first call does is not counted
      count([](void* pointer) { static_cast<Batch<S>*>(pointer)->call(); }, &batch);
    });
    std::puts(work.name().c_str());
  }
}
