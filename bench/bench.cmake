# SPDX-License-Identifier: MIT
# Built by ./dev bench alone.
find_package(benchmark REQUIRED)
add_executable(cross_entropy_bench EXCLUDE_FROM_ALL bench/bandwidth.cc bench/batches.cc bench/cross_entropy_bench.cc)
target_include_directories(cross_entropy_bench PRIVATE src bench)
target_link_libraries(cross_entropy_bench PRIVATE labelsmooth hwy::hwy benchmark::benchmark)
add_executable(evaluate_bench EXCLUDE_FROM_ALL bench/evaluate_bench.cc)
target_link_libraries(evaluate_bench PRIVATE labelsmooth_program)
