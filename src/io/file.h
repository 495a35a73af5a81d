// SPDX-License-Identifier: MIT
// Whole files: read by mapping where that works, written beside the name and renamed when complete.
#pragma once

#include <sys/mman.h>  // munmap

#include <cstddef>      // std::byte, size_t
#include <memory>       // std::unique_ptr
#include <span>         // std::span
#include <string>       // std::string
#include <string_view>  // std::string_view
#include <vector>       // std::vector

namespace labelsmooth::io {

/// The bytes of a file, read-only and page-aligned where it is a regular file; "-" is standard input.
/// A pipe, a device or standard input is read into memory, to its end. A file that another process
/// shortens while it is mapped kills the reader (SIGBUS), as with every mapping.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);

  std::span<const std::byte> bytes() const;
  /// What error messages call it: the path, or "standard input".
  const std::string& name() const { return name_; }

 private:
  struct Unmap {
    size_t size_bytes;
    void operator()(void* mapping) const { munmap(mapping, size_bytes); }
  };

  std::string name_;
  std::unique_ptr<void, Unmap> mapping_;
  std::vector<std::byte> buffer_;  // what could not be mapped
};

/// A file that takes its name only when complete. Until commit() the bytes are in a file of the same folder
/// that has no name, so that nothing is left of it even where the process is killed; where the file system
/// knows no such files, in a hidden one that the destructor removes. An existing file of that name is
/// replaced as a whole. A symbolic link is followed. A device or a pipe (/dev/null, /dev/stdout) cannot be
/// renamed onto: written in place.
class NewFile {
 public:
  explicit NewFile(const std::string& path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Throws if any byte did not reach the file; the old file is then untouched.
  void commit();

 private:
  [[noreturn]] void fail(int error) const;
  template <class Make>
  void take_temporary(const Make& make);

  std::string path_;       // as the caller wrote it, for messages
  std::string target_;     // path_ with symbolic links followed
  std::string temporary_;  // while there is a hidden file
  int descriptor_ = -1;
  bool in_place_ = true;
};

void write_file(const std::string& path, std::span<const std::byte> bytes);
void write_file(const std::string& path, std::string_view text);

}  // namespace labelsmooth::io
