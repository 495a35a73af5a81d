// SPDX-License-Identifier: MIT
#include "io/idx.h"

#include <algorithm>  // std::min, std::copy_n
#include <limits>     // std::numeric_limits
#include <memory>     // std::unique_ptr
#include <new>        // std::bad_alloc

#include "io/file.h"
#include "io/inflate.h"
#include "labelsmooth/tensor.h"

namespace labelsmooth::io {
namespace {

constexpr uint64_t kMaxValues = uint64_t{1} << 32;
constexpr uint32_t kUnsignedByte = 0x08;

using Bytes = std::span<const uint8_t>;

/// The bytes of an uncompressed file, in order.
class PlainSource {
 public:
  PlainSource(Bytes bytes, const std::string& name) : rest_(bytes), name_(name) {}

  /// Fills `out`, or what the file has left of it.
  size_t read(std::span<uint8_t> out) {
    const size_t size = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), size, out.begin());
    rest_ = rest_.subspan(size);
    return size;
  }

  /// What is left, which must be `size` bytes.
  std::vector<uint8_t> read_rest(uint64_t size) {
    if (rest_.size() != size) {
      throw Error(name_, std::to_string(rest_.size()) + " bytes of data, its header promises " +
                             std::to_string(size));
    }
    return {rest_.begin(), rest_.end()};
  }

 private:
  Bytes rest_;
  const std::string& name_;
};

/// The same of what a gzip file holds. One member: anything behind it is refused.
class GzipSource {
 public:
  GzipSource(Bytes bytes, const std::string& name)
      : size_(bytes.size()), stream_(std::as_bytes(bytes), Inflater::Format::gzip, name), name_(name) {}

  size_t read(std::span<uint8_t> out) { return stream_.read(std::as_writable_bytes(out)); }

  std::vector<uint8_t> read_rest(uint64_t size) {
    if (!deflate_can_hold(size_, size)) {
      throw Error(name_, std::to_string(size_) + " compressed bytes cannot hold the " + std::to_string(size) +
                             " that its header promises");
    }
    std::vector<uint8_t> values(size);
    const size_t found = read(values);
    if (found != size) {
      throw Error(name_,
                  std::to_string(found) + " bytes of data, its header promises " + std::to_string(size));
    }
    uint8_t extra;  // reading on also makes zlib compare the checksum
    if (read({&extra, 1}) != 0) {
      throw Error(name_,
                  "holds more data than the " + std::to_string(size) + " bytes that its header promises");
    }
    if (stream_.left() != 0) {
      throw Error(name_, std::to_string(stream_.left()) + " bytes follow the gzip stream, none are allowed");
    }
    return values;
  }

 private:
  size_t size_;
  Inflater stream_;
  const std::string& name_;
};

const char* type_name(uint32_t type) {
  switch (type) {
    case 0x09:
      return "int8";
    case 0x0b:
      return "int16";
    case 0x0c:
      return "int32";
    case 0x0d:
      return "float32";
    case 0x0e:
      return "float64";
    default:
      return "unknown";
  }
}

void check_rank(size_t rank, const std::string& name) {
  if (rank < 1 || rank > 4) throw Error(name, std::to_string(rank) + " dimensions, 1 to 4 are allowed");
}

/// Dimensions are below 2^32, so that the product cannot overflow before it is seen to be too large.
uint64_t count(const std::vector<int64_t>& shape, const std::string& name) {
  uint64_t size = 1;
  for (const int64_t dimension : shape) {
    size *= static_cast<uint64_t>(dimension);
    if (size > kMaxValues) throw Error(name, "promises more than 4 GiB of values, at most 4 GiB are allowed");
  }
  return size;
}

template <class Source>
Idx parse(Source& source, const std::string& name) {
  const auto read_u32 = [&] {
    uint8_t bytes[4];
    if (source.read(bytes) != 4) throw Error(name, "ends within the IDX header");
    return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
  };
  const uint32_t magic = read_u32(), type = magic >> 8 & 0xff, rank = magic & 0xff;
  if (magic >> 16 != 0) throw Error(name, "no IDX file: it does not begin with two zero bytes");
  if (type != kUnsignedByte) {
    throw Error(name, "type " + std::to_string(type) + " (" + type_name(type) +
                          "), only 8 (unsigned byte) is allowed");
  }
  check_rank(rank, name);
  Idx idx;
  for (uint32_t i = 0; i < rank; ++i) idx.shape.push_back(read_u32());
  idx.values = source.read_rest(count(idx.shape, name));
  return idx;
}

std::vector<uint8_t> header_of(const std::vector<int64_t>& shape, const std::string& name) {
  check_rank(shape.size(), name);
  std::vector<uint8_t> header = {0, 0, kUnsignedByte, static_cast<uint8_t>(shape.size())};
  for (const int64_t dimension : shape) {
    if (dimension < 0 || dimension > std::numeric_limits<uint32_t>::max()) {
      throw Error(name, "dimension " + std::to_string(dimension) + ", allowed are those of 32 bits");
    }
    for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<uint8_t>(dimension >> shift));
  }
  return header;
}

/// zlib's own gzip header: no name, time 0.
void write_gzip(NewFile& file, Bytes header, Bytes values) {
  z_stream stream = {};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, deflateEnd);
  std::vector<uint8_t> buffer(size_t{1} << 16);
  const auto put = [&](Bytes bytes, int flush) {
    size_t left = bytes.size();
    stream.next_in = bytes.data();
    do {
      const uInt input = stream.avail_in = static_cast<uInt>(std::min(left, kMaxStepBytes));
      stream.next_out = buffer.data();
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, left == input ? flush : Z_NO_FLUSH);
      left -= input - stream.avail_in;
      file.write(std::as_bytes(std::span(buffer).first(buffer.size() - stream.avail_out)));
    } while (left > 0 || stream.avail_out == 0);
  };
  put(header, Z_NO_FLUSH);
  put(values, Z_FINISH);
}

}  // namespace

Idx parse_idx(std::span<const std::byte> bytes, const std::string& name) {
  const Bytes file(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b) {
    GzipSource source(file, name);
    return parse(source, name);
  }
  PlainSource source(file, name);
  return parse(source, name);
}

Idx read_idx(const std::string& path) {
  const MappedFile file(path);
  return parse_idx(file.bytes(), file.name());
}

void write_idx(const std::string& path, const std::vector<int64_t>& shape, std::span<const uint8_t> values) {
  const std::vector<uint8_t> header = header_of(shape, path);
  if (count(shape, path) != values.size()) {
    throw Error(path, std::to_string(values.size()) + " values, the shape needs " +
                          std::to_string(count(shape, path)));
  }
  NewFile file(path);
  if (path.ends_with(".gz")) {
    write_gzip(file, header, values);
  } else {
    file.write(std::as_bytes(std::span(header)));
    file.write(std::as_bytes(values));
  }
  file.commit();
}

}  // namespace labelsmooth::io
