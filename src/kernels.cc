// SPDX-License-Identifier: MIT
// Builds the kernels for every instruction set and keeps the choice.
#include "kernels.h"

#include "targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels.cc"
#include <hwy/foreach_target.h>  // must precede highway.h
#include <hwy/highway.h>

#include "kernels-inl.h"

#if HWY_ONCE

#include <atomic>    // std::atomic
#include <cstdlib>   // std::getenv
#include <iterator>  // std::size

#include "labelsmooth/isa.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth {
namespace {

HWY_EXPORT(TargetKernels);

// Our own choice, not Highway's: that one is shared by every user of the library in the process.
const Kernels* for_target(int64_t target) {
  if constexpr (std::size(HWY_DISPATCH_TABLE(TargetKernels)) == 1)
    return HWY_STATIC_DISPATCH(TargetKernels)();
  hwy::ChosenTarget chosen;
  chosen.Update(target);
  return HWY_DISPATCH_TABLE(TargetKernels)[chosen.GetIndex()]();
}

// Highway orders targets so that the better one has the lower bit.
std::vector<Kernels> best_first(int64_t targets) {
  std::vector<Kernels> list;
  for (; targets != 0; targets &= targets - 1) {
    list.push_back(*for_target(targets & -targets));
    list.back().isa = hwy::TargetName(targets & -targets);
  }
  return list;
}

std::string join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

const Kernels* find(const std::string& name, const std::string& argument) {
  for (const Kernels& candidate : usable_kernels()) {
    if (name == candidate.isa) return &candidate;
  }
  throw Error(argument, "'" + name + "' is not usable here, usable are " + join(usable_isas()));
}

const Kernels* default_kernels() {
  const char* name = std::getenv("LABELSMOOTH_ISA");
  return name != nullptr && *name != 0 ? find(name, "LABELSMOOTH_ISA") : &usable_kernels().front();
}

std::atomic<const Kernels*> chosen_kernels{nullptr};

}  // namespace

const std::vector<Kernels>& usable_kernels() {
  // Never destroyed: a call may still run, or begin, while the process exits.
  static const auto& list = *new std::vector<Kernels>(best_first(hwy::SupportedTargets() & HWY_TARGETS));
  return list;
}

const Kernels& kernels() {
  const Kernels* chosen = chosen_kernels.load(std::memory_order_acquire);
  if (chosen == nullptr) {
    const Kernels* by_default = default_kernels();
    // Fails, and tells the winner, where another thread has chosen meanwhile.
    if (chosen_kernels.compare_exchange_strong(chosen, by_default)) chosen = by_default;
  }
  return *chosen;
}

std::vector<std::string> compiled_isas() {
  std::vector<std::string> names;
  for (int64_t targets = HWY_TARGETS; targets != 0; targets &= targets - 1) {
    names.push_back(hwy::TargetName(targets & -targets));
  }
  return names;
}

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Kernels& candidate : usable_kernels()) names.push_back(candidate.isa);
  return names;
}

std::string isa() { return kernels().isa; }

void set_isa(const std::string& name) {
  chosen_kernels.store(name.empty() ? default_kernels() : find(name, "isa"), std::memory_order_release);
}

}  // namespace labelsmooth

#endif  // HWY_ONCE
