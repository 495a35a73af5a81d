// SPDX-License-Identifier: MIT
#include "labelsmooth/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>   // setenv
#include <iostream>  // std::cout

#include "labelsmooth/tensor.h"

namespace labelsmooth {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(Isa, UsableAreCompiledAndTheBestIsTheDefault) {
  for (const std::string& name : usable_isas()) EXPECT_THAT(compiled_isas(), Contains(name));
  EXPECT_EQ(isa(), usable_isas().front());
  EXPECT_GE(usable_isas().size(), 2u) << "every build holds a portable isa and a better one";
}

TEST(Isa, ForcedByNameAndBack) {
  set_isa(usable_isas().back());
  EXPECT_EQ(isa(), usable_isas().back());
  set_isa("");
  EXPECT_EQ(isa(), usable_isas().front());
}

TEST(Isa, ForcedByTheEnvironment) {
  setenv("LABELSMOOTH_ISA", usable_isas().back().c_str(), 1);
  set_isa("");
  EXPECT_EQ(isa(), usable_isas().back());
  setenv("LABELSMOOTH_ISA", "abacus", 1);
  try {
    set_isa("");
    ADD_FAILURE() << "an unknown name was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("LABELSMOOTH_ISA: 'abacus' is not usable here, usable are "));
  }
  unsetenv("LABELSMOOTH_ISA");
  set_isa("");
}

TEST(Isa, RefusesUnknownNames) {
  EXPECT_THROW(set_isa("AVX9000"), Error);
  EXPECT_EQ(isa(), usable_isas().front());
}

// What the other tests could not run on this CPU.
TEST(Isa, ReportsWhatWasNotRun) {
  for (const std::string& name : compiled_isas()) {
    const auto usable = usable_isas();
    const bool ran = std::find(usable.begin(), usable.end(), name) != usable.end();
    std::cout << name << (ran ? ": tested" : ": compiled, not tested on this CPU") << "\n";
  }
}

}  // namespace
}  // namespace labelsmooth
