// SPDX-License-Identifier: MIT
#include "io/safetensors.h"

#include <algorithm>  // std::ranges::find, std::ranges::sort
#include <cstdint>    // int64_t, uint64_t
#include <cstring>    // std::memcpy
#include <iterator>   // std::end
#include <limits>     // std::numeric_limits
#include <memory>     // std::make_shared
#include <nlohmann/json.hpp>
#include <string_view>    // std::string_view
#include <unordered_set>  // std::unordered_set
#include <utility>        // std::move
#include <vector>         // std::vector

#include "io/file.h"
#include "io/member.h"
#include "io/printable.h"

namespace labelsmooth::io {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

struct Type {
  std::string_view name;
  int bits;
  std::optional<DType> dtype = {};  // none: the format has it, we refuse it
};
constexpr Type kTypes[] = {{"F64", 64, DType::f64},
                           {"F32", 32, DType::f32},
                           {"F16", 16, DType::f16},
                           {"BF16", 16, DType::bf16},
                           {"I64", 64, DType::i64},
                           {"I32", 32, DType::i32},
                           {"I16", 16, DType::i16},
                           {"I8", 8, DType::i8},
                           {"U64", 64, DType::u64},
                           {"U32", 32, DType::u32},
                           {"U16", 16, DType::u16},
                           {"U8", 8, DType::u8},
                           {"BOOL", 8},
                           {"C64", 64},
                           {"F8_E4M3", 8},
                           {"F8_E5M2", 8},
                           {"F8_E8M0", 8},
                           {"F8_E4M3FNUZ", 8},
                           {"F8_E5M2FNUZ", 8},
                           {"F6_E2M3", 6},
                           {"F6_E3M2", 6},
                           {"F4", 4}};
constexpr const char* kAllowed = "allowed are F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8";

using List = std::vector<int64_t>;

struct Tensor {
  std::string name;
  const Type* type = nullptr;
  List shape = {}, offsets = {};  // offsets: begin and end, in bytes behind the header
  bool has_shape = false;         // () is one, too
};

/// {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"any": "text"}}, taken
/// event by event: what else there is ends the reading at once, so that neither depth nor width can hurt, and
/// no key is lost for standing twice.
class Header : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Header(const std::string& file) : file_(file) {}

  std::vector<Tensor> tensors;

  bool start_object(size_t) override {
    if (depth_ == 2 || list_ != nullptr) fail("an object");
    if (++depth_ == 2 && !is_metadata()) tensors.push_back({.name = name_});
    return true;
  }

  bool key(std::string& key) override {
    if (depth_ == 1) {
      name_ = key;
      if (!names_.insert(key).second) {
        throw Error(member_text(file_, key), "stands twice in the header, once is allowed");
      }
    } else if (!is_metadata()) {
      field_ = key;
      const Tensor& tensor = tensors.back();
      const bool is_new = key == "dtype"          ? tensor.type == nullptr
                          : key == "shape"        ? !tensor.has_shape
                          : key == "data_offsets" ? tensor.offsets.empty()
                                                  : false;
      if (!is_new) fail("key '" + printable(key) + "'");
    }
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ == 2 && is_metadata()) return true;
    if (depth_ != 2 || list_ != nullptr || field_ != "dtype") fail("a string");
    const auto* type = std::ranges::find(kTypes, text, &Type::name);
    if (type == std::end(kTypes)) throw Error(where(), "dtype '" + printable(text) + "' found, " + kAllowed);
    tensors.back().type = type;
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || is_metadata() || list_ != nullptr || field_ == "dtype") fail("a list");
    Tensor& tensor = tensors.back();
    tensor.has_shape |= field_ == "shape";
    list_ = &(field_ == "shape" ? tensor.shape : tensor.offsets);
    return true;
  }

  bool number_unsigned(uint64_t number) override {
    if (list_ == nullptr) fail("a number");
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) fail("a number past 63 bits");
    list_->push_back(static_cast<int64_t>(number));
    return true;
  }

  bool end_array() override {
    if (field_ == "data_offsets" && list_->size() != 2) fail(std::to_string(list_->size()) + " data_offsets");
    list_ = nullptr;
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !is_metadata()) {
      const Tensor& tensor = tensors.back();
      if (tensor.type == nullptr) fail("no dtype");
      if (!tensor.has_shape) fail("no shape");
      if (tensor.offsets.empty()) fail("no data_offsets");
    }
    --depth_;
    return true;
  }

  bool null() override { fail("null"); }
  bool boolean(bool) override { fail("a boolean"); }
  bool number_integer(int64_t) override { fail("a negative number"); }
  bool number_float(double, const std::string&) override { fail("a number that is no integer of 63 bits"); }
  bool binary(binary_t&) override { fail("bytes"); }
  bool parse_error(size_t byte, const std::string&, const nlohmann::json::exception&) override {
    throw Error(file_, "the header's byte " + std::to_string(byte) + " is not JSON");
  }

 private:
  bool is_metadata() const { return name_ == "__metadata__"; }
  std::string where() const { return depth_ == 0 ? file_ : member_text(file_, name_); }
  [[noreturn]] void fail(const std::string& found) const {
    const char* allowed = is_metadata()
                              ? "text by key"
                              : "{\"dtype\": text, \"shape\": [integers], \"data_offsets\": [begin, end]}";
    throw Error(where(), found + " found in the header, allowed is " + allowed);
  }

  const std::string& file_;
  int depth_ = 0;  // of objects
  std::string name_, field_;
  List* list_ = nullptr;  // the one that is open
  std::unordered_set<std::string> names_;
};

/// The tensors have to lie side by side, from the first byte behind the header to the last.
void check_places(std::vector<Tensor>& tensors, size_t data_bytes, const std::string& file) {
  std::ranges::sort(tensors, {}, [](const Tensor& tensor) -> const List& { return tensor.offsets; });
  int64_t end = 0;
  for (const Tensor& tensor : tensors) {
    const std::string where = member_text(file, tensor.name);
    const List& offsets = tensor.offsets;
    if (offsets[0] != end || offsets[1] < offsets[0]) {
      throw Error(where, "is at bytes " + std::to_string(offsets[0]) + " to " + std::to_string(offsets[1]) +
                             ", the tensors before it end at " + std::to_string(end) +
                             ": gaps and overlaps are not allowed");
    }
    const int64_t bits =
        tensor.type->bits *
        checked_size(tensor.shape, std::numeric_limits<int64_t>::max() / tensor.type->bits, where);
    const std::string needs = "shape " + shape_text(tensor.shape) + " of " + std::string(tensor.type->name);
    if (bits % 8 != 0) throw Error(where, needs + " does not end at a whole byte");
    end = offsets[1];
    if (end - offsets[0] != bits / 8) {
      throw Error(where, std::to_string(end - offsets[0]) + " bytes of data, " + needs + " needs " +
                             std::to_string(bits / 8));
    }
  }
  if (static_cast<uint64_t>(end) != data_bytes) {
    throw Error(file, std::to_string(data_bytes) + " bytes of data, its tensors need " + std::to_string(end));
  }
}

std::vector<Tensor> tensors_of(std::string_view text, const std::string& file) {
  // The parser takes a NUL for the end, and skips a byte order mark.
  if (!text.starts_with('{') || text.find('\0') != std::string_view::npos) {
    throw Error(file, "no .safetensors file: its header does not begin with '{', or has a zero byte");
  }
  Header header(file);
  nlohmann::json::sax_parse(text, &header);
  return std::move(header.tensors);
}

}  // namespace

Array parse_safetensors(std::span<const std::byte> bytes, const std::string& file,
                        const std::optional<std::string>& name) {
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) {
    throw Error(file,
                "no .safetensors file: " + std::to_string(bytes.size()) + " bytes, at least 8 are needed");
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  const std::span<const std::byte> rest = bytes.subspan(sizeof header_bytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > rest.size()) {
    throw Error(file, "a header of " + std::to_string(header_bytes) + " bytes, " +
                          std::to_string(rest.size()) + " are there and 100000000 are allowed");
  }
  const std::span<const std::byte> data = rest.subspan(header_bytes);
  std::vector<Tensor> tensors =
      tensors_of({reinterpret_cast<const char*>(rest.data()), static_cast<size_t>(header_bytes)}, file);
  check_places(tensors, data.size(), file);

  std::vector<std::string> names;
  for (const Tensor& tensor : tensors) names.push_back(tensor.name);
  const Tensor& tensor = tensors[find_member(names, name, file)];
  const std::string where = member_text(file, tensor.name);
  if (!tensor.type->dtype) {
    throw Error(where, "dtype " + std::string(tensor.type->name) + " found, " + kAllowed);
  }
  if (tensor.shape.size() > kMaxRank) {
    throw Error(where, std::to_string(tensor.shape.size()) + " dimensions, at most " +
                           std::to_string(kMaxRank) + " are allowed");
  }
  Array array;
  array.dtype = *tensor.type->dtype;
  array.shape = tensor.shape;
  array.borrow(data.subspan(static_cast<size_t>(tensor.offsets[0]),
                            static_cast<size_t>(array.size()) * size_bytes(array.dtype)));
  return array;
}

Array read_safetensors(const std::string& path, const std::optional<std::string>& name) {
  const auto file = std::make_shared<const MappedFile>(path);
  Array array = parse_safetensors(file->bytes(), file->name(), name);
  if (!array.owner) array.owner = file;
  return array;
}

}  // namespace labelsmooth::io
