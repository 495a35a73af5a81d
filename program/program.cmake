# SPDX-License-Identifier: MIT
find_package(PkgConfig REQUIRED)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
find_package(Boost CONFIG REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js REQUIRED)
find_path(RANDOM123_INCLUDE Random123/philox.h REQUIRED)

# ---- Readers and writers of files: strict with untrusted bytes.
add_library(labelsmooth_io STATIC src/io/array.cc src/io/csv.cc src/io/file.cc src/io/idx.cc src/io/inflate.cc
  src/io/member.cc src/io/npy.cc src/io/npz.cc src/io/safetensors.cc)
target_include_directories(labelsmooth_io PUBLIC src)
target_link_libraries(labelsmooth_io PUBLIC labelsmooth PRIVATE ZLIB::ZLIB nlohmann_json::nlohmann_json)

# ---- The evidence.
# The parts of the report's page, as one C++ file.
set(report_assets ${PROJECT_BINARY_DIR}/generated/report_assets.cc)
set(report_folder ${PROJECT_SOURCE_DIR}/program/report)
add_custom_command(OUTPUT ${report_assets}
  COMMAND ${CMAKE_COMMAND} -DCHART=${CHART_JS} -DFOLDER=${report_folder} -DOUT=${report_assets}
    -P ${report_folder}/embed.cmake
  DEPENDS ${CHART_JS} ${report_folder}/embed.cmake ${report_folder}/page.css ${report_folder}/page.html
    ${report_folder}/page.js ${report_folder}/strings.json ${PROJECT_SOURCE_DIR}/program/explain/strings.json
    ${PROJECT_SOURCE_DIR}/program/compare/strings.json)
add_library(labelsmooth_program STATIC
  program/arrays.cc
  program/calibrate/divided.cc
  program/compare/advice.cc
  program/compare/arm.cc
  program/compare/contrasts.cc
  program/compare/groups.cc
  program/compare/logits_file.cc
  program/compare/page.cc
  program/compare/result.cc
  program/compare/text.cc
  program/convert/convention.cc
  program/evaluate/binomial_table.cc
  program/evaluate/class_names.cc
  program/evaluate/intervals.cc
  program/evaluate/null_levels.cc
  program/evaluate/observations.cc
  program/evaluate/page.cc
  program/evaluate/smooth_ece.cc
  program/evaluate/summary.cc
  program/evaluate/text.cc
  program/evaluate/top_label.cc
  program/evaluation/crossfit.cc
  program/evaluation/inference.cc
  program/evaluation/items.cc
  program/evaluation/metric_table.cc
  program/evaluation/metrics.cc
  program/evaluation/ranking.cc
  program/evaluation/sorted_rows.cc
  program/evaluation/temperature.cc
  program/explain/arithmetic.cc
  program/explain/statements.cc
  program/explain/text.cc
  program/explain/words.cc
  program/identify/basis.cc
  program/identify/fit.cc
  program/identify/hypotheses.cc
  program/identify/label_factors.cc
  program/identify/one_number.cc
  program/identify/verdict.cc
  program/progress.cc
  program/report/appendix.cc
  program/report/check.cc
  program/report/document.cc
  program/report/figures.cc
  program/report/html.cc
  program/report/methods.cc
  program/report/page.cc
  program/report/report.cc
  program/report/specs.cc
  program/report/strings.cc
  program/report/verdict.cc
  program/smooth/class_matrix.cc
  program/smooth/targets.cc
  program/smoothing_of.cc
  program/study/analysis.cc
  program/study/claims.cc
  program/study/data.cc
  program/study/grid.cc
  program/study/judged_run.cc
  program/study/model.cc
  program/study/noise.cc
  program/study/own_runs.cc
  program/study/pictures.cc
  program/study/run_files.cc
  program/study/training.cc
  program/study/verdict_box.cc
  program/verify/check.cc
  program/verify/example.cc
  program/verify/expectation.cc
  program/verify/hard_labels.cc
  program/verify/inputs.cc
  program/verify/optimum.cc
  program/verify/sampling.cc
  program/verify/targets.cc
  program/verify/training.cc
  ${report_assets})
target_include_directories(labelsmooth_program PUBLIC program src ${RANDOM123_INCLUDE})
target_link_libraries(labelsmooth_program PUBLIC labelsmooth labelsmooth_io
  Boost::headers fmt::fmt hwy::hwy_contrib nlohmann_json::nlohmann_json PkgConfig::OPENBLAS Threads::Threads)

# ---- The program.
configure_file(program/version.h.in ${PROJECT_BINARY_DIR}/generated/version.h @ONLY)
add_executable(labelsmooth_cli
  program/main.cc
  program/calibrate.cc
  program/compare.cc
  program/convert.cc
  program/evaluate.cc
  program/explain.cc
  program/identify.cc
  program/info.cc
  program/loss.cc
  program/report.cc
  program/smooth.cc
  program/study.cc
  program/train.cc
  program/verify.cc)
set_target_properties(labelsmooth_cli PROPERTIES OUTPUT_NAME labelsmooth)
target_include_directories(labelsmooth_cli PRIVATE ${PROJECT_BINARY_DIR}/generated)
target_link_libraries(labelsmooth_cli PRIVATE labelsmooth_program CLI11::CLI11)
