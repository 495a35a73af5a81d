# SPDX-License-Identifier: MIT
find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
include(GoogleTest)

add_library(labelsmooth_reference STATIC src/reference.cc)
target_include_directories(labelsmooth_reference PUBLIC src)

# labelsmooth_test(smoothing LIBRARY...): tests/smoothing_test.cc
function(labelsmooth_test path)
  string(REPLACE "/" "_" name ${path}_test)
  add_executable(${name} tests/${path}_test.cc)
  target_include_directories(${name} PRIVATE src program tests)
  target_link_libraries(${name} PRIVATE labelsmooth ${ARGN} rapidcheck rapidcheck_gtest GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX ${path}.)
endfunction()

labelsmooth_test(tensor)
labelsmooth_test(smoothing labelsmooth_reference)
labelsmooth_test(row_summary)
labelsmooth_test(isa)
labelsmooth_test(parallel Threads::Threads)
labelsmooth_test(kernels labelsmooth_reference)
labelsmooth_test(cross_entropy labelsmooth_reference)
labelsmooth_test(shards labelsmooth_reference)
