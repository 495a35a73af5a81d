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
labelsmooth_test(half)
labelsmooth_test(smoothing labelsmooth_reference)
labelsmooth_test(row_summary)
labelsmooth_test(isa)
labelsmooth_test(parallel Threads::Threads)
labelsmooth_test(kernels labelsmooth_reference)
labelsmooth_test(cross_entropy labelsmooth_reference)
labelsmooth_test(shards labelsmooth_reference)
labelsmooth_test(c_api labelsmooth_reference)

labelsmooth_test(io/file labelsmooth_io)
labelsmooth_test(io/npy labelsmooth_io)
labelsmooth_test(io/idx labelsmooth_io)
labelsmooth_test(evaluation/items labelsmooth_program)
labelsmooth_test(evaluation/metrics labelsmooth_program)
labelsmooth_test(evaluation/temperature labelsmooth_program)
labelsmooth_test(evaluation/inference labelsmooth_program)
labelsmooth_test(report/report labelsmooth_program)
labelsmooth_test(random labelsmooth_program)
labelsmooth_test(progress labelsmooth_program util)
labelsmooth_test(study/data labelsmooth_program)
labelsmooth_test(study/noise labelsmooth_program)
labelsmooth_test(study/grid labelsmooth_program)
labelsmooth_test(study/model labelsmooth_program)
labelsmooth_test(study/training labelsmooth_program)
labelsmooth_test(study/analysis labelsmooth_program)
labelsmooth_test(study/verdict_box labelsmooth_program)

# Python's unittest over the tree and the built program.
# Debian's own Python, which has Debian's NumPy and Selenium.
find_program(DEBIAN_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
if(LABELSMOOTH_SANITIZE)
  set(sanitize_flag -fsanitize=${LABELSMOOTH_SANITIZE})
endif()
function(labelsmooth_python_test path)
  string(REPLACE "/" "." name ${path})
  add_test(NAME ${name} COMMAND ${DEBIAN_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/${path}_test.py)
  set_tests_properties(${name} PROPERTIES TIMEOUT 1200 ENVIRONMENT
    "LABELSMOOTH=$<TARGET_FILE:labelsmooth_cli>;CXX=${CMAKE_CXX_COMPILER};LINK=$<TARGET_FILE:labelsmooth> -lhwy -lpthread ${sanitize_flag};FLAGS=${sanitize_flag};SOURCE=${PROJECT_SOURCE_DIR};BUILD=${PROJECT_BINARY_DIR}")
endfunction()
labelsmooth_python_test(layers)
labelsmooth_python_test(readme)
labelsmooth_python_test(program/program)
labelsmooth_python_test(install)

# The report in a browser.
add_test(NAME report.browser COMMAND ${DEBIAN_PYTHON3} ${PROJECT_SOURCE_DIR}/tests/report/browser_test.py)
set_tests_properties(report.browser PROPERTIES TIMEOUT 1200 ENVIRONMENT
  "LABELSMOOTH=$<TARGET_FILE:labelsmooth_cli>;SCREENSHOTS=${PROJECT_BINARY_DIR}/screenshots")

# Each fuzz target replays its corpus here; with LABELSMOOTH_FUZZ it is also a libFuzzer program.
foreach(target npy idx c_api)
  add_executable(${target}_replay tests/fuzz/${target}_fuzz.cc tests/fuzz/replay.cc)
  target_link_libraries(${target}_replay PRIVATE labelsmooth labelsmooth_io)
  add_test(NAME fuzz.${target}_corpus COMMAND ${target}_replay ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${target})
  if(LABELSMOOTH_FUZZ)
    add_executable(${target}_fuzz tests/fuzz/${target}_fuzz.cc)
    target_link_libraries(${target}_fuzz PRIVATE labelsmooth labelsmooth_io)
    target_link_options(${target}_fuzz PRIVATE -fsanitize=fuzzer)
  endif()
endforeach()
