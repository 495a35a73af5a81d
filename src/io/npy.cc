// SPDX-License-Identifier: MIT
#include "io/npy.h"

#include <algorithm>     // std::find
#include <charconv>      // std::from_chars
#include <cstddef>       // size_t
#include <iterator>      // std::begin, std::end
#include <limits>        // std::numeric_limits
#include <optional>      // std::optional
#include <string_view>   // std::string_view
#include <system_error>  // std::errc
#include <utility>       // std::move

namespace labelsmooth::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::string_view kDescr[] = {"<f4", "<f8", "<f2", "<V2", "|i1", "|u1",
                                       "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"};  // in the order of DType
constexpr const char* kAllowed = "allowed are <f4 <f8 <f2 <V2 |V2 |i1 |u1 <i2 <u2 <i4 <u4 <i8 <u8";

const char* refused_kind(std::string_view descr) {
  if (descr.starts_with('>')) return "big-endian";
  switch (descr.size() > 1 ? descr[1] : '\0') {
    case 'b':
      return "boolean";
    case 'c':
      return "complex";
    case 'f':
      return "unknown";
    case 'O':
      return "Python objects";
    case 'S':
    case 'U':
      return "strings";
    case 'V':
      return "raw bytes";
    case 'M':
    case 'm':
      return "dates";
    default:
      return "unknown";
  }
}

/// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }: this much of Python's literals and no more.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  void parse(Array& array) {
    std::optional<DType> dtype;
    std::optional<bool> fortran_order;
    std::optional<std::vector<int64_t>> shape;
    expect('{');
    while (!accept('}')) {
      const std::string key(quoted());
      expect(':');
      if (key == "descr" && !dtype) {
        dtype = parse_dtype();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = parse_bool();
      } else if (key == "shape" && !shape) {
        shape = parse_shape();
      } else {
        fail("key '" + key + "', allowed are 'descr', 'fortran_order' and 'shape', once each");
      }
      if (accept(',')) continue;
      expect('}');
      break;
    }
    if (!dtype || !fortran_order || !shape) {
      fail("a key is missing, 'descr', 'fortran_order' and 'shape' are needed");
    }
    skip_spaces();
    if (at_ != text_.size()) fail("found " + next() + " after the dictionary, only spaces are allowed");
    array.dtype = *dtype;
    array.fortran_order = *fortran_order;
    array.shape = std::move(*shape);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(name_, "header, character " + std::to_string(at_) + ": " + what);
  }
  /// What stands at the cursor, safe to print.
  std::string next() const {
    if (at_ == text_.size()) return "the end";
    const char c = text_[at_];
    return is_printable(c) ? std::string{'\'', c, '\''}
                           : "byte " + std::to_string(static_cast<unsigned char>(c));
  }
  static bool is_printable(char c) { return c >= ' ' && c <= '~'; }

  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  bool accept(char token) { return accept(std::string_view(&token, 1)); }
  void expect(char token) {
    if (!accept(token)) fail("found " + next() + ", '" + token + "' is needed");
  }

  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect(quote);
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\' && is_printable(text_[at_])) ++at_;
    const std::string_view text = text_.substr(begin, at_ - begin);
    if (at_ == text_.size() || text_[at_] != quote) fail("found " + next() + " within a string");
    ++at_;
    return text;
  }

  DType parse_dtype() {
    if (accept('[')) fail(std::string("type is structured, ") + kAllowed);
    const std::string_view descr = quoted();
    // NumPy itself knows no bf16: it reads <V2 as two raw bytes, and writes those as |V2, bits unchanged.
    if (descr == "|V2") return DType::bf16;
    const auto* found = std::find(std::begin(kDescr), std::end(kDescr), descr);
    if (found == std::end(kDescr)) {
      fail("type '" + std::string(descr) + "' is " + refused_kind(descr) + ", " + kAllowed);
    }
    return static_cast<DType>(found - std::begin(kDescr));
  }

  bool parse_bool() {
    if (accept("True")) return true;
    if (accept("False")) return false;
    fail("found " + next() + ", True or False is needed");
  }

  std::vector<int64_t> parse_shape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      shape.push_back(parse_dimension());
      // One dimension is (3,): without its comma it would be a number in brackets.
      if (accept(',')) continue;
      if (shape.size() == 1) fail("found " + next() + ", ',' is needed");
      expect(')');
      break;
    }
    if (shape.size() > kMaxRank) {
      fail(std::to_string(shape.size()) + " dimensions, at most " + std::to_string(kMaxRank) +
           " are allowed");
    }
    return shape;
  }

  int64_t parse_dimension() {
    skip_spaces();
    int64_t dimension = 0;
    const std::string_view rest = text_.substr(at_);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), dimension);
    if (error == std::errc::result_out_of_range) fail("a dimension does not fit in 64 bits");
    if (error != std::errc()) fail("found " + next() + ", a dimension is needed");
    if (dimension > 0 && rest.starts_with('0')) fail("a dimension with leading zeros, none are allowed");
    if (dimension < 0) fail("dimension " + std::to_string(dimension) + ", at least 0 is needed");
    at_ += static_cast<size_t>(end - rest.data());
    return dimension;
  }

  std::string_view text_;
  size_t at_ = 0;
  const std::string& name_;
};

struct Parts {
  std::string_view header;
  std::span<const std::byte> data;
};

Parts split(std::span<const std::byte> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic)) throw Error(name, "no .npy file: it does not begin with \\x93NUMPY");
  const auto byte = [&](size_t i) -> size_t {
    if (i >= bytes.size()) {
      throw Error(name, "ends within the .npy header, after " + std::to_string(bytes.size()) + " bytes");
    }
    return std::to_integer<size_t>(bytes[i]);
  };
  const size_t major = byte(6), minor = byte(7);
  if (major < 1 || major > 3 || minor != 0) {
    throw Error(name, ".npy version " + std::to_string(major) + "." + std::to_string(minor) +
                          ", allowed are 1.0, 2.0 and 3.0");
  }
  size_t header_bytes = byte(8) | byte(9) << 8;
  size_t begin = 10;
  if (major > 1) {
    header_bytes |= byte(10) << 16 | byte(11) << 24;
    begin = 12;
  }
  if (header_bytes > kMaxNpyHeaderBytes) {
    throw Error(name, "a header of " + std::to_string(header_bytes) + " bytes, at most " +
                          std::to_string(kMaxNpyHeaderBytes) + " are allowed");
  }
  if (header_bytes > bytes.size() - begin) {
    throw Error(name, "ends within the .npy header: " + std::to_string(bytes.size() - begin) + " of its " +
                          std::to_string(header_bytes) + " bytes are there");
  }
  return {text.substr(begin, header_bytes), bytes.subspan(begin + header_bytes)};
}

size_t data_bytes(DType dtype, const std::vector<int64_t>& shape, const std::string& name) {
  const auto width = static_cast<int64_t>(size_bytes(dtype));
  return static_cast<size_t>(checked_size(shape, std::numeric_limits<int64_t>::max() / width, name) * width);
}

std::string header_of(DType dtype, const std::vector<int64_t>& shape) {
  std::string header = "{'descr': '" + std::string(kDescr[static_cast<int>(dtype)]) +
                       "', 'fortran_order': False, 'shape': " + shape_text(shape) + ", }";
  // NumPy leaves room for the first dimension to grow to 21 digits in place.
  if (!shape.empty()) header.append(21 - std::to_string(shape[0]).size(), ' ');
  const size_t preamble = kMagic.size() + 4;
  header.append(64 - (preamble + header.size() + 1) % 64, ' ');
  header += '\n';
  const auto length = header.size();
  return std::string(kMagic) + '\1' + '\0' + static_cast<char>(length & 0xff) +
         static_cast<char>(length >> 8) + header;
}

}  // namespace

Array parse_npy(std::span<const std::byte> bytes, const std::string& name) {
  const auto [header, data] = split(bytes, name);
  Array array;
  HeaderParser(header, name).parse(array);
  const size_t promised = data_bytes(array.dtype, array.shape, name);
  if (data.size() != promised) {
    throw Error(name, std::to_string(data.size()) + " bytes of data, shape " + shape_text(array.shape) +
                          " of " + labelsmooth::name(array.dtype) + " needs " + std::to_string(promised));
  }
  array.borrow(data);
  return array;
}

size_t npy_file_bytes(std::span<const std::byte> begin, const std::string& name) {
  const auto [header, data] = split(begin, name);
  Array array;
  HeaderParser(header, name).parse(array);
  return begin.size() - data.size() + data_bytes(array.dtype, array.shape, name);
}

Array read_npy(const std::string& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  Array array = parse_npy(file->bytes(), file->name());
  if (!array.owner) array.owner = file;
  return array;
}

void write_npy(const std::string& path, DType dtype, const std::vector<int64_t>& shape, const void* data) {
  NewNpy file(path, dtype, shape);
  file.write({static_cast<const std::byte*>(data), data_bytes(dtype, shape, path)});
  file.commit();
}

NewNpy::NewNpy(const std::string& path, DType dtype, const std::vector<int64_t>& shape)
    : path_(path), promised_(data_bytes(dtype, shape, path)), file_(path) {
  file_.write(header_of(dtype, shape));
}

void NewNpy::write(std::span<const std::byte> bytes) {
  file_.write(bytes);
  written_ += bytes.size();
}

void NewNpy::commit() {
  if (written_ != promised_) {
    throw Error(path_, std::to_string(written_) + " bytes of data written, the shape needs " +
                           std::to_string(promised_));
  }
  file_.commit();
}

}  // namespace labelsmooth::io
