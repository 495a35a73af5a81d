// SPDX-License-Identifier: MIT
// safetensors files: the header is right in every detail, or refused with the reason.
#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>  // std::memcpy
#include <utility>  // std::pair

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

std::string file_of(const std::string& header, const std::string& data = "", int64_t length = -1) {
  const uint64_t size = length < 0 ? header.size() : static_cast<uint64_t>(length);
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + data;
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, int64_t begin,
                   int64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

std::string header_of(const std::vector<std::string>& tensors) {
  std::string header;
  for (const std::string& text : tensors) header += (header.empty() ? '{' : ',') + text;
  return header + '}';
}

std::string refusal(const std::string& header, const std::string& data = "",
                    const std::optional<std::string>& name = {}) {
  const std::string file = file_of(header, data);
  return error_of([&] { parse_safetensors(bytes_of(file), "file", name); });
}

const std::string kThree = header_of({tensor("a", "I16", "[3]", 0, 6)});
const std::string kThreeData = "\1\0\2\0\3\0"s;

TEST(ParseSafetensors, EveryType) {
  const std::pair<const char*, DType> types[] = {
      {"F64", DType::f64}, {"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16},
      {"I64", DType::i64}, {"I32", DType::i32}, {"I16", DType::i16}, {"I8", DType::i8},
      {"U64", DType::u64}, {"U32", DType::u32}, {"U16", DType::u16}, {"U8", DType::u8}};
  for (const auto& [name, dtype] : types) {
    const auto width = static_cast<int64_t>(size_bytes(dtype));
    std::string data;
    for (int64_t i = 0; i < 6 * width; ++i) data += static_cast<char>(i);
    const std::string file = file_of(header_of({tensor("a", name, "[2,3]", 0, 6 * width)}), data);
    const Array array = parse_safetensors(bytes_of(file), "file");
    EXPECT_EQ(array.dtype, dtype) << name;
    EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 3})) << name;
    EXPECT_FALSE(array.fortran_order);
    EXPECT_EQ(std::memcmp(array.data, data.data(), data.size()), 0) << name;
  }
}

TEST(ParseSafetensors, CopiesOnlyWhatIsMisaligned) {
  for (size_t padding = 0; padding < 16; ++padding) {
    const std::string file = file_of(kThree + std::string(padding, ' '), kThreeData);
    const Array array = parse_safetensors(bytes_of(file), "file");
    const auto* data = static_cast<const char*>(array.data);
    EXPECT_EQ(data == file.data() + file.size() - 6, array.owner == nullptr);
    EXPECT_EQ(array.owner == nullptr, (kThree.size() + padding) % 2 == 0);
    EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2, 3}));
  }
}

TEST(ParseSafetensors, WhateverTheOrder) {
  const std::string header = R"({ "b" : {"data_offsets" : [ 2 , 6 ], "shape" : [2], "dtype" : "I16"},)"
                             R"("empty": {"dtype":"F32","shape":[0,4],"data_offsets":[2,2]},)"
                             R"("__metadata__":{"format":"pt","a":"{\"b\":[1]}","":""},)"
                             R"("scalar":{"shape":[],"data_offsets":[0,2],"dtype":"I16"}})"
                             "\n  ";
  const std::string file = file_of(header, kThreeData);
  EXPECT_EQ(values<int16_t>(parse_safetensors(bytes_of(file), "file", "b")), (std::vector<int16_t>{2, 3}));
  EXPECT_EQ(values<int16_t>(parse_safetensors(bytes_of(file), "file", "scalar")), std::vector<int16_t>{1});
  EXPECT_EQ(parse_safetensors(bytes_of(file), "file", "scalar").shape, std::vector<int64_t>{});
  EXPECT_EQ(parse_safetensors(bytes_of(file), "file", "empty").shape, (std::vector<int64_t>{0, 4}));
}

TEST(ParseSafetensors, Names) {
  const std::pair<const char*, std::string> names[] = {{"", ""},
                                                       {"a.b", "a.b"},
                                                       {"a:b", "a:b"},
                                                       {"x.safetensors:y", "x.safetensors:y"},
                                                       {"\\n", "\n"},
                                                       {"\\u0000", "\0"s},
                                                       {"\\u540d", "\xe5\x90\x8d"},
                                                       {"\xe5\xad\x97", "\xe5\xad\x97"},
                                                       {"\\\"", "\""}};
  std::string header = "{";
  for (const auto& [written, name] : names) header += tensor(written, "U8", "[0]", 0, 0) + ",";
  header.back() = '}';
  const std::string file = file_of(header);
  for (const auto& [written, name] : names) {
    EXPECT_EQ(parse_safetensors(bytes_of(file), "file", name).size(), 0) << written;
  }
  EXPECT_EQ(refusal(kThree, kThreeData, "b\n"), "file:b\\x0a: no such array, allowed are: a");
  EXPECT_THAT(refusal(header), StartsWith("file: 9 arrays found, one or file:NAME is needed; its names: "));
  EXPECT_EQ(refusal("{}"), "file: 0 arrays found, one or file:NAME is needed; its names: none");
  EXPECT_EQ(refusal("{\"__metadata__\":{\"a\":\"b\"}}", "", "__metadata__"),
            "file:__metadata__: no such array, allowed are: none");
}

TEST(ParseSafetensors, OtherTypesHurtOnlyWhoAsksForThem) {
  const std::pair<const char*, int64_t> types[] = {
      {"BOOL", 4},        {"F8_E4M3", 4}, {"F8_E5M2", 4}, {"F8_E8M0", 4}, {"F8_E4M3FNUZ", 4},
      {"F8_E5M2FNUZ", 4}, {"F6_E2M3", 3}, {"F6_E3M2", 3}, {"F4", 2},      {"C64", 32}};
  for (const auto& [name, size] : types) {
    const std::string header =
        header_of({tensor("a", "I16", "[3]", 0, 6), tensor("b", name, "[4]", 6, 6 + size)});
    const std::string data = kThreeData + std::string(static_cast<size_t>(size), '\0');
    EXPECT_EQ(refusal(header, data, "a"), "") << name;
    EXPECT_EQ(refusal(header, data, "b"),
              "file:b: dtype " + std::string(name) +
                  " found, allowed are F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8");
    EXPECT_THAT(refusal(header, data + "x", "a"), HasSubstr("bytes of data, its tensors need")) << name;
  }
  EXPECT_EQ(refusal(header_of({tensor("a", "F4", "[3]", 0, 2)}), "xy"),
            "file:a: shape (3,) of F4 does not end at a whole byte");
}

TEST(ParseSafetensors, RefusesPlaces) {
  const auto two = [](int64_t a, int64_t b, int64_t c, int64_t d, const std::string& data) {
    return refusal(header_of({tensor("a", "U8", "[2]", a, b), tensor("b", "U8", "[2]", c, d)}), data, "a");
  };
  EXPECT_EQ(two(0, 2, 2, 4, "abcd"), "");
  EXPECT_EQ(two(2, 4, 0, 2, "abcd"), "");
  EXPECT_EQ(two(0, 2, 3, 5, "abcde"),
            "file:b: is at bytes 3 to 5, the tensors before it end at 2: gaps and overlaps are not allowed");
  EXPECT_THAT(two(0, 2, 1, 3, "abc"),
              HasSubstr("file:b: is at bytes 1 to 3, the tensors before it end at 2"));
  EXPECT_THAT(two(0, 2, 0, 2, "ab"), HasSubstr("is at bytes 0 to 2, the tensors before it end at 2"));
  EXPECT_THAT(two(1, 3, 3, 5, "abcde"),
              HasSubstr("file:a: is at bytes 1 to 3, the tensors before it end at 0"));
  EXPECT_THAT(two(2, 0, 2, 4, "abcd"), HasSubstr("file:a: is at bytes 2 to 0"));
  EXPECT_THAT(two(0, 2, 2, 4, "abc"), HasSubstr("file: 3 bytes of data, its tensors need 4"));
  EXPECT_THAT(two(0, 2, 2, 4, "abcde"), HasSubstr("file: 5 bytes of data, its tensors need 4"));
  EXPECT_THAT(two(0, 2, 2, 5, "abcde"), HasSubstr("file:b: 3 bytes of data, shape (2,) of U8 needs 2"));
  EXPECT_THAT(two(0, 2, 2, INT64_MAX, "abcd"), HasSubstr("bytes of data, shape (2,) of U8 needs 2"));
}

TEST(ParseSafetensors, RefusesShapes) {
  const std::pair<const char*, const char*> shapes[] = {
      {"[4]", "file:a: 6 bytes of data, shape (4,) of I16 needs 8"},
      {"[]", "6 bytes of data, shape () of I16 needs 2"},
      {"[3,0]", "6 bytes of data, shape (3, 0) of I16 needs 0"},
      {"[9223372036854775807]", "is too large for 64 bits"},
      {"[4611686018427387904,4]", "is too large for 64 bits"},
      {"[4294967296,4294967296,4294967296]", "is too large for 64 bits"},
      {"[0,9223372036854775807,3]", "is too large for 64 bits"},
      {"[9223372036854775807,3,0]", "is too large for 64 bits"},
      {"[1,1,1,1,1,1,1,1,3]", "9 dimensions, at most 8 are allowed"},
      {"[-3]", "a negative number found"},
      {"[-0]", "a negative number found"},
      {"[3.0]", "a number that is no integer"},
      {"[3e0]", "a number that is no integer"},
      {"[9223372036854775808]", "a number past 63 bits found"},
      {"[18446744073709551615]", "a number past 63 bits found"},
      {"[18446744073709551619]", "a number that is no integer"},
      {"[1e999]", "is not JSON"},
      {"[03]", "is not JSON"},
      {"[NaN]", "is not JSON"},
      {"[3,]", "is not JSON"},
      {"[3", "a string found"},
      {"3", "a number found"},
      {"\"3\"", "a string found"},
      {"[\"3\"]", "a string found"},
      {"[[3]]", "a list found"},
      {"[{}]", "an object found"},
      {"[null]", "null found"},
      {"[true]", "a boolean found"},
      {"{}", "an object found"},
      {"null", "null found"},
      {"[3],\"shape\":[3]", "key 'shape' found"},
      {"[3],\"order\":\"F\"", "key 'order' found"},
  };
  for (const auto& [shape, reason] : shapes) {
    EXPECT_THAT(refusal(header_of({tensor("a", "I16", shape, 0, 6)}), kThreeData), HasSubstr(reason))
        << shape;
  }
}

TEST(ParseSafetensors, RefusesHeaders) {
  const std::string a = tensor("a", "I16", "[3]", 0, 6);
  const std::pair<std::string, const char*> headers[] = {
      {"", "its header does not begin with '{'"},
      {" " + kThree, "its header does not begin with '{'"},
      {"\xef\xbb\xbf" + kThree, "its header does not begin with '{'"},
      {"[]", "its header does not begin with '{'"},
      {kThree + "\0"s, "has a zero byte"},
      {kThree + "\0garbage"s, "has a zero byte"},
      {kThree + "}", "is not JSON"},
      {kThree + "{}", "is not JSON"},
      {"{" + a + ",}", "is not JSON"},
      {"{/**/" + a + "}", "is not JSON"},
      {"{\xff}", "is not JSON"},
      {"{'a':1}", "is not JSON"},
      {"{" + a, "is not JSON"},
      {header_of({a, a}), "file:a: stands twice in the header"},
      {header_of({a, tensor("\\u0061", "U8", "[0]", 6, 6)}), "file:a: stands twice in the header"},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", "stands twice in the header"},
      {"{\"a\":1}",
       "file:a: a number found in the header, allowed is {\"dtype\": text, \"shape\": [integers], "
       "\"data_offsets\": [begin, end]}"},
      {"{\"a\":\"x\"}", "a string found"},
      {"{\"a\":[]}", "a list found"},
      {"{\"a\":null}", "null found"},
      {"{\"a\":{}}", "no dtype found"},
      {"{\"a\":{\"dtype\":\"I16\",\"shape\":[3]}}", "no data_offsets found"},
      {"{\"a\":{\"dtype\":\"I16\",\"data_offsets\":[0,6]}}", "no shape found"},
      {"{\"a\":{\"shape\":[3],\"data_offsets\":[0,6]}}", "no dtype found"},
      {"{\"a\":{\"dtype\":\"I16\",\"shape\":[3],\"data_offsets\":[0]}}", "1 data_offsets found"},
      {"{\"a\":{\"dtype\":\"I16\",\"shape\":[3],\"data_offsets\":[]}}", "0 data_offsets found"},
      {"{\"a\":{\"dtype\":\"I16\",\"shape\":[3],\"data_offsets\":[0,3,6]}}", "3 data_offsets found"},
      {"{\"a\":{\"dtype\":[\"I16\"]}}", "a list found"},
      {"{\"a\":{\"dtype\":{}}}", "an object found"},
      {"{\"a\":{\"dtype\":16}}", "a number found"},
      {"{\"a\":{\"dtype\":\"i16\"}}", "file:a: dtype 'i16' found, allowed are F64 F32"},
      {"{\"a\":{\"dtype\":\"\\u001b\"}}", "dtype '\\x1b' found"},
      {"{\"__metadata__\":{\"a\":1}," + a + "}",
       "file:__metadata__: a number found in the header, allowed is text by key"},
      {"{\"__metadata__\":{\"a\":{}}," + a + "}", "an object found"},
      {"{\"__metadata__\":{\"a\":[]}," + a + "}", "a list found"},
      {"{\"__metadata__\":null," + a + "}", "null found"},
      {"{\"__metadata__\":\"a\"," + a + "}", "a string found"},
      {"{\"a\":{\"\\n\":1}}", "key '\\x0a' found"},
  };
  for (const auto& [header, reason] : headers) {
    EXPECT_THAT(refusal(header, kThreeData), HasSubstr(reason)) << header;
    EXPECT_EQ(refusal(header, kThreeData).find('\n'), std::string::npos) << header;
  }
}

TEST(ParseSafetensors, RefusesDeepAndWideHeadersAtOnce) {
  std::string objects = "{";
  for (int i = 0; i < 1000000; ++i) objects += "\"a\":{";
  EXPECT_THAT(refusal(objects), HasSubstr("key 'a' found"));
  EXPECT_THAT(refusal("{\"a\":" + std::string(1000000, '[')), HasSubstr("a list found"));
  EXPECT_THAT(refusal("{\"a\":{\"shape\":" + std::string(1000000, '[')), HasSubstr("a list found"));
  EXPECT_THAT(refusal("{\"a\":{\"" + std::string(1000000, 'b') + "\":1}}"), HasSubstr("bbb...' found"));
  EXPECT_THAT(refusal("{\"a\":{\"shape\":[" + std::string(1000000, '9')), HasSubstr("is not JSON"));
}

TEST(ParseSafetensors, RefusesFrames) {
  const auto of_length = [](int64_t length) {
    const std::string file = file_of(kThree, kThreeData, length);
    return error_of([&] { parse_safetensors(bytes_of(file), "file"); });
  };
  EXPECT_THAT(of_length(static_cast<int64_t>(kThree.size()) + 7),
              HasSubstr("are there and 100000000 are allowed"));
  EXPECT_THAT(of_length(INT64_MAX), HasSubstr("a header of 9223372036854775807 bytes"));
  EXPECT_THAT(of_length(0), HasSubstr("its header does not begin"));
  std::string huge = file_of("{}" + std::string(100000001 - 2, ' '));
  EXPECT_THAT(error_of([&] { parse_safetensors(bytes_of(huge), "file"); }),
              HasSubstr("a header of 100000001 bytes, 100000001 are there and 100000000 are allowed"));
  EXPECT_EQ(error_of([] { parse_safetensors({}, "file"); }),
            "file: no .safetensors file: 0 bytes, at least 8 are needed");
  EXPECT_THAT(error_of([] { parse_safetensors(bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff"), "file"); }),
              HasSubstr("a header of 18446744073709551615 bytes, 0 are there"));
}

TEST(ParseSafetensors, RefusesEveryPrefix) {
  const std::string file = file_of(kThree, kThreeData);
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(error_of([&] { parse_safetensors(bytes_of(file).first(size), "file"); }), StartsWith("file"))
        << size;
  }
}

TEST(ParseSafetensors, EveryWrongByteParsesOrIsRefused) {
  std::string file = file_of(kThree, kThreeData);
  int parsed = 0;
  for (char& byte : file) {
    const char right = byte;
    for (int wrong = 0; wrong < 256; ++wrong) {
      byte = static_cast<char>(wrong);
      const std::string error = error_of([&] {
        const Array array = parse_safetensors(bytes_of(file), "file");
        EXPECT_EQ(array.size() * static_cast<int64_t>(size_bytes(array.dtype)), 6);
        ++parsed;
      });
      EXPECT_EQ(error.find('\n'), std::string::npos);
    }
    byte = right;
  }
  // The 6 bytes of data may be anything, the others only what they are, but for the name, and I16 is as long
  // as U16 and F16.
  EXPECT_GE(parsed, 6 * 256);
  EXPECT_LE(parsed, 6 * 256 + static_cast<int>(file.size()) + 100);
}

TEST(ReadSafetensors, OutlivesTheFile) {
  const TempFolder folder;
  put(folder.path("a.safetensors"), file_of(kThree, kThreeData));
  const Array array = read_safetensors(folder.path("a.safetensors"), "a");
  std::filesystem::remove(folder.path("a.safetensors"));
  EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2, 3}));
  EXPECT_THAT(error_of([&] { read_safetensors(folder.path("a.safetensors")); }),
              HasSubstr("a.safetensors: cannot be opened"));
}

}  // namespace
}  // namespace labelsmooth::io
