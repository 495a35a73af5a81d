// SPDX-License-Identifier: MIT
#include "study/run_files.h"

#include <nlohmann/json.hpp>
#include <sstream>  // std::istringstream

#include "io/file.h"

namespace labelsmooth {

RunLogits read_logits(const std::string& path) {
  RunLogits logits = {io::read_npy(path)};
  if (logits.array.dtype != DType::f32 || logits.array.shape.size() != 2) {
    throw Error(path, "two-dimensional f32 logits are needed");
  }
  return logits;
}

std::vector<int64_t> read_labels(const std::string& path) {
  const io::Array array = io::read_npy(path);
  if (is_float(array.dtype) || array.shape.size() != 1)
    throw Error(path, "one dimension of integers is needed");
  const Vector vector(array.data, array.dtype, array.size());
  std::vector<int64_t> labels;
  for (int64_t row = 0; row < vector.size; ++row) labels.push_back(vector.label(row));
  return labels;
}

namespace {

std::string read_text(const std::string& path) {
  const io::MappedFile file(path);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

nlohmann::json read_object(const std::string& path) {
  nlohmann::json object = nlohmann::json::parse(read_text(path), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw Error(path, "not JSON, an object is needed");
  return object;
}

std::vector<nlohmann::json> read_lines(const std::string& path) {
  std::istringstream text(read_text(path));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(text, line);) {
    lines.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
    if (!lines.back().is_object()) {
      throw Error(path, "line " + std::to_string(lines.size()) + " is not a JSON object");
    }
  }
  return lines;
}

}  // namespace labelsmooth
