// SPDX-License-Identifier: MIT
// What the tests of the file readers share: a folder that is gone afterwards, .npy files, an error's message.
#pragma once

#include <stdlib.h>  // mkdtemp

#include <cstddef>     // std::byte
#include <filesystem>  // std::filesystem::path, remove_all, directory_iterator
#include <fstream>     // std::ifstream, std::ofstream
#include <iterator>    // std::istreambuf_iterator, std::distance
#include <span>        // std::span
#include <stdexcept>   // std::runtime_error
#include <string>      // std::string
#include <vector>      // std::vector

#include "io/array.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth::io {

class TempFolder {
 public:
  TempFolder() : folder_((std::filesystem::temp_directory_path() / "labelsmooth-XXXXXX").string()) {
    if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("no folder for the test's files");
  }
  ~TempFolder() { std::filesystem::remove_all(folder_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// How many files and folders it holds, hidden ones too.
  std::ptrdiff_t entries() const { return std::distance(std::filesystem::directory_iterator(folder_), {}); }

 private:
  std::string folder_;
};

inline void put(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string get(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

/// A .npy file of version `major`, padded as NumPy pads unless `align` says otherwise.
inline std::string npy(std::string header, const std::string& data = "", char major = 1, size_t align = 64) {
  const size_t preamble = major == 1 ? 10 : 12;
  while ((preamble + header.size() + 1) % align != 0) header += ' ';
  header += '\n';
  std::string length(major == 1 ? 2 : 4, '\0');
  for (size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>(header.size() >> 8 * i & 0xff);
  return "\x93NUMPY" + std::string{major, '\0'} + length + header + data;
}

inline std::string dictionary(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
}

template <class T>
std::vector<T> values(const Array& array) {
  const T* data = static_cast<const T*>(array.data);
  return {data, data + array.size()};
}

/// The message of the Error that `action` throws, "" if it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace labelsmooth::io
