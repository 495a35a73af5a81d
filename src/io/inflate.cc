// SPDX-License-Identifier: MIT
#include "io/inflate.h"

#include <algorithm>  // std::min
#include <new>        // std::bad_alloc

#include "labelsmooth/tensor.h"

namespace labelsmooth::io {
namespace {

uInt step(size_t size) { return static_cast<uInt>(std::min(size, kMaxStepBytes)); }

}  // namespace

Inflater::Inflater(std::span<const std::byte> bytes, Format format, const std::string& name)
    : left_(bytes.size()), kind_(format == Format::gzip ? "gzip" : "deflate"), name_(name) {
  stream_.next_in = reinterpret_cast<const Bytef*>(bytes.data());
  // Window bits: the largest window, plus 16 for a gzip wrapper, negative for none.
  if (inflateInit2(&stream_, format == Format::gzip ? 15 + 16 : -15) != Z_OK) throw std::bad_alloc();
}

size_t Inflater::read(std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size() && !ended_) {
    const uInt input = stream_.avail_in = step(left_);
    const uInt room = stream_.avail_out = step(out.size() - done);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    left_ -= input - stream_.avail_in;
    done += room - stream_.avail_out;
    ended_ = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code == Z_BUF_ERROR) throw Error(name_, std::string("the ") + kind_ + " stream is cut off");
    if (code != Z_OK && !ended_) {
      throw Error(name_, std::string("the ") + kind_ +
                             " stream is corrupt: " + (stream_.msg != nullptr ? stream_.msg : "unknown"));
    }
  }
  return done;
}

}  // namespace labelsmooth::io
