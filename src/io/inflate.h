// SPDX-License-Identifier: MIT
// Deflated bytes, read piece by piece into memory of the caller's, which alone decides how much.
#pragma once

#define ZLIB_CONST  // next_in points to const
#include <zlib.h>

#include <cstddef>  // std::byte, size_t
#include <cstdint>  // uint64_t
#include <span>     // std::span
#include <string>   // std::string

namespace labelsmooth::io {

/// The most that goes through zlib at once: it counts in 32 bits.
inline constexpr size_t kMaxStepBytes = size_t{1} << 30;

/// Deflate makes at most 258 bytes of 2 bits: a small file with a huge promise need not be allocated for.
constexpr bool deflate_can_hold(size_t deflated_bytes, uint64_t bytes) {
  return bytes / 1032 <= deflated_bytes;
}

/// One stream; `bytes` and `name` must outlive it. Errors name `name`.
class Inflater {
 public:
  enum class Format { gzip, raw };
  Inflater(std::span<const std::byte> bytes, Format format, const std::string& name);
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Fills `out`, or what the stream has left of it. At a gzip stream's end its checksum is compared.
  size_t read(std::span<std::byte> out);
  /// Bytes not taken yet: at the stream's end, those that follow it.
  size_t left() const { return left_; }

 private:
  z_stream stream_ = {};
  size_t left_;
  bool ended_ = false;
  const char* kind_;
  const std::string& name_;
};

}  // namespace labelsmooth::io
