// SPDX-License-Identifier: MIT
// Every option changes something, and every pair (and three) of options composes or is refused by name.
#include <gtest/gtest.h>

#include <cmath>   // std::abs, std::isnan
#include <set>     // std::set
#include <string>  // std::string
#include <vector>  // std::vector

#include "batch.h"
#include "error_of.h"
#include "settings.h"

namespace labelsmooth {
namespace {

// Changes how, not what, is computed.
bool is_neutral(const Setting& setting) {
  return !setting.needs.empty() && setting.needs[0] == std::string("-");
}

// The change is beyond any rounding.
bool differs(const Outcome& x, const Outcome& y) {
  const auto apart = [](double a, double b) {
    return std::isnan(a) != std::isnan(b) || std::isinf(a) != std::isinf(b) || std::abs(a - b) > 1e-4;
  };
  bool any = apart(x.result.loss, y.result.loss) || x.result.counted != y.result.counted;
  for (size_t i = 0; i < x.loss.size(); ++i) any |= apart(x.loss[i], y.loss[i]);
  for (size_t i = 0; i < x.gradient.size(); ++i) any |= apart(x.gradient[i], y.gradient[i]);
  return any;
}

// With only what an option needs, the option changes the loss or its gradient.
TEST(Options, EachHasAnEffect) {
  for (const Setting& setting : settings()) {
    if (is_neutral(setting)) continue;
    LossCase without = base_case();
    for (const Setting& other : settings()) {
      for (const std::string need : setting.needs) {
        if (need == other.name) other.apply(without);
      }
    }
    LossCase with = without;
    setting.apply(with);
    EXPECT_TRUE(differs(run(with), run(without))) << name_of(setting);
  }
}

// All of the settings on one case: it has a value, that of the reference, or is refused for one of its pairs.
void expect_composed_or_refused(const std::vector<const Setting*>& chosen) {
  LossCase c = base_case();
  std::string names;
  std::set<std::string> messages;
  for (const Setting* setting : chosen) {
    setting->apply(c);
    names += name_of(*setting) + "; ";
    for (const Setting* other : chosen) {
      const std::string message = refusal_of(*setting, *other);
      if (!message.empty()) messages.insert(message);
    }
  }
  SCOPED_TRACE(names);
  if (messages.empty()) {
    EXPECT_EQ(error_of([&] { expect_reference(c); }), "no error");
  } else {
    EXPECT_EQ(messages.count(error_of([&] { run(c); })), 1) << error_of([&] { run(c); });
  }
}

bool of_one_option(const Setting& x, const Setting& y) { return x.option == std::string(y.option); }

TEST(Options, EachPairComposesOrIsRefused) {
  for_each_isa([] {
    for (const Setting& x : settings()) {
      expect_composed_or_refused({&x});
      for (const Setting* y = &x + 1; y != settings().data() + settings().size(); ++y) {
        if (of_one_option(x, *y)) continue;
        expect_composed_or_refused({&x, y});
        if (HasFailure()) return;
      }
    }
  });
}

// But for Empty::error: whether a mean is over nothing is not a matter of pairs.
TEST(Options, EachThreeComposeOrAreRefused) {
  std::vector<Setting> list = settings();
  std::erase_if(list, [](const Setting& setting) { return name_of(setting) == "empty: error"; });
  for (size_t i = 0; i < list.size(); ++i) {
    for (size_t j = i + 1; j < list.size(); ++j) {
      if (of_one_option(list[i], list[j])) continue;
      for (size_t k = j + 1; k < list.size(); ++k) {
        if (of_one_option(list[j], list[k])) continue;
        expect_composed_or_refused({&list[i], &list[j], &list[k]});
        if (HasFailure()) return;
      }
    }
  }
}

// No entry of the list of refusals is there in vain.
TEST(Options, EachRefusalNamesSettings) {
  for (const Refusal& refusal : refusals()) {
    for (const std::string& key : {refusal.first, refusal.second}) {
      bool found = false;
      for (const Setting& setting : settings()) found |= matches(setting, key);
      EXPECT_TRUE(found) << key;
    }
  }
}

}  // namespace
}  // namespace labelsmooth
