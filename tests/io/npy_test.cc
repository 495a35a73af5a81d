// SPDX-License-Identifier: MIT
// .npy files: what is written is NumPy's, what is read is right or refused with the reason.
#include "io/npy.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>  // dup, dup2, close

#include <cstring>  // std::memcmp
#include <utility>  // std::pair

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

constexpr DType kDTypes[] = {DType::f32, DType::f64, DType::i8,  DType::u8,  DType::i16,
                             DType::u16, DType::i32, DType::u32, DType::i64, DType::u64};

std::string refusal(const std::string& file) {
  return error_of([&] { parse_npy(bytes_of(file), "file"); });
}

const std::string kThree = npy(dictionary("<i2", "(3,)"), std::string("\1\0\2\0\3\0", 6));

TEST(WriteNpy, HeadersAreNumPys) {
  const TempFolder folder;
  const double zeros[8] = {};
  const auto header = [&](DType dtype, const std::vector<int64_t>& shape) {
    write_npy(folder.path("a.npy"), dtype, shape, zeros);
    return get(folder.path("a.npy")).substr(0, 128);
  };
  const auto numpy = [](const std::string& text) {
    return std::string("\x93NUMPY\1\0v\0", 10) + text + std::string(117 - text.size(), ' ') + '\n';
  };
  EXPECT_EQ(header(DType::f32, {3}), numpy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"));
  EXPECT_EQ(header(DType::f64, {2, 3}), numpy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }"));
  EXPECT_EQ(header(DType::i64, {}), numpy("{'descr': '<i8', 'fortran_order': False, 'shape': (), }"));
  EXPECT_EQ(header(DType::u8, {0, 7}), numpy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 7), }"));
  EXPECT_EQ(header(DType::i8, {1}), numpy("{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }"));
  EXPECT_EQ(header(DType::u16, {1, 1}), numpy("{'descr': '<u2', 'fortran_order': False, 'shape': (1, 1), }"));
}

TEST(WriteNpy, DataFollowTheHeader) {
  const TempFolder folder;
  const int16_t data[] = {1, 2, 3};
  write_npy(folder.path("a.npy"), DType::i16, {3}, data);
  EXPECT_EQ(get(folder.path("a.npy")), kThree);
}

TEST(WriteNpy, FailureLeavesNothing) {
  const TempFolder folder;
  const double data[1] = {};
  std::filesystem::create_directory(folder.path("directory"));
  EXPECT_THAT(error_of([&] { write_npy(folder.path("directory"), DType::f64, {1}, data); }),
              HasSubstr("is a directory"));
  EXPECT_THAT(error_of([&] { write_npy(folder.path("missing/a.npy"), DType::f64, {1}, data); }),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(error_of([&] { write_npy(folder.path("a.npy"), DType::f64, {1LL << 61, 8}, data); }),
              HasSubstr("too large for 64 bits"));
  EXPECT_THAT(error_of([&] { write_npy("/dev/full", DType::f64, {1}, data); }),
              HasSubstr("No space left on device"));
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewNpy, PiecesAreTheWhole) {
  const TempFolder folder;
  const int16_t data[] = {1, 2, 3};
  const auto bytes = std::as_bytes(std::span(data));
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    NewNpy file(folder.path("a.npy"), DType::i16, {3});
    file.write(bytes.first(cut));
    file.write(bytes.subspan(cut));
    file.commit();
    EXPECT_EQ(get(folder.path("a.npy")), kThree) << cut;
  }
  EXPECT_EQ(folder.entries(), 1);
}

TEST(NewNpy, TakesItsNameOnlyWhenComplete) {
  const TempFolder folder;
  put(folder.path("a.npy"), "old");
  const std::byte bytes[7] = {};
  for (const size_t size : {0, 5, 7}) {
    NewNpy file(folder.path("a.npy"), DType::i16, {3});
    file.write(std::span(bytes).first(size));
    EXPECT_EQ(get(folder.path("a.npy")), "old");
    EXPECT_EQ(error_of([&] { file.commit(); }), folder.path("a.npy") + ": " + std::to_string(size) +
                                                    " bytes of data written, the shape needs 6");
  }
  EXPECT_EQ(get(folder.path("a.npy")), "old");
  EXPECT_EQ(folder.entries(), 1);
}

RC_GTEST_PROP(Npy, RoundTrip, ()) {
  const DType dtype = *rc::gen::elementOf(std::vector<DType>(std::begin(kDTypes), std::end(kDTypes)));
  const auto rank = *rc::gen::inRange<size_t>(0, 9);
  const auto shape = *rc::gen::container<std::vector<int64_t>>(rank, rc::gen::inRange<int64_t>(0, 4));
  size_t size = size_bytes(dtype);
  for (const int64_t dimension : shape) size *= static_cast<size_t>(dimension);
  // Random bytes, NaN payloads among them, without a generator a byte: the largest array is 51 KiB.
  const std::vector<char> pattern = *rc::gen::container<std::vector<char>>(13, rc::gen::arbitrary<char>());
  std::vector<char> data(size);
  for (size_t i = 0; i < size; ++i) data[i] = pattern[i % pattern.size()];

  const TempFolder folder;
  write_npy(folder.path("a.npy"), dtype, shape, data.data());
  const Array array = read_npy(folder.path("a.npy"));
  RC_ASSERT(get(folder.path("a.npy")).size() == 128 + size);
  RC_ASSERT(array.dtype == dtype);
  RC_ASSERT(array.shape == shape);
  RC_ASSERT(!array.fortran_order);
  RC_ASSERT(static_cast<size_t>(array.size()) * size_bytes(dtype) == size);
  RC_ASSERT((size == 0 || std::memcmp(array.data, data.data(), size) == 0));
}

TEST(ReadNpy, OutlivesTheFile) {
  const TempFolder folder;
  put(folder.path("a.npy"), kThree);
  const Array array = read_npy(folder.path("a.npy"));
  std::filesystem::remove(folder.path("a.npy"));
  EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2, 3}));
}

TEST(ReadNpy, DashIsStandardInput) {
  const TempFolder folder;
  put(folder.path("a.npy"), kThree);
  put(folder.path("empty"), "");
  const int saved = dup(STDIN_FILENO);
  const auto read_as_input = [&](const char* name) {
    const int file = open(folder.path(name).c_str(), O_RDONLY);
    dup2(file, STDIN_FILENO);
    close(file);
    return read_npy("-");
  };
  EXPECT_EQ(values<int16_t>(read_as_input("a.npy")), (std::vector<int16_t>{1, 2, 3}));
  EXPECT_THAT(error_of([&] { read_as_input("empty"); }), StartsWith("standard input: no .npy file"));
  dup2(saved, STDIN_FILENO);
  close(saved);
}

TEST(ReadNpy, NamesTheFile) {
  const TempFolder folder;
  put(folder.path("a.npy"), kThree + "x");
  const auto error = [&](const char* name) { return error_of([&] { read_npy(folder.path(name)); }); };
  EXPECT_EQ(error("a.npy"), folder.path("a.npy") + ": 7 bytes of data, shape (3,) of i16 needs 6");
  EXPECT_EQ(error("b.npy"), folder.path("b.npy") + ": cannot be opened: No such file or directory");
}

TEST(ParseNpy, EveryVersionAndWriting) {
  const std::string data("\1\0\2\0", 4);
  const std::string headers[] = {
      dictionary("<i2", "(2,)"),
      "{'shape': (2,), 'fortran_order': False, 'descr': '<i2'}",
      "{\"fortran_order\":False,\"shape\":(2,),\"descr\":\"<i2\",}",
      "  {  'descr'  :  '<i2'  ,  'shape'  :  (  2  ,  )  ,\n 'fortran_order'  :  False  }",
  };
  for (const std::string& header : headers) {
    for (const char major : {'\1', '\2', '\3'}) {
      const std::string file = npy(header, data, major);
      const Array array = parse_npy(bytes_of(file), "file");
      EXPECT_EQ(array.shape, std::vector<int64_t>{2}) << header;
      EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2})) << header;
    }
  }
}

// ml_dtypes writes <V2; NumPy, which knows no bf16, makes |V2 of it when it reads the file and saves it
// again.
TEST(ParseNpy, BothSpellingsOfBf16) {
  for (const char* descr : {"<V2", "|V2"}) {
    const std::string file = npy(dictionary(descr, "(2,)"), "\x80\x3f\x49\x40");
    const Array array = parse_npy(bytes_of(file), "file");
    EXPECT_EQ(array.dtype, DType::bf16) << descr;
    EXPECT_EQ(values<uint16_t>(array), (std::vector<uint16_t>{0x3f80, 0x4049})) << descr;
  }
}

TEST(ParseNpy, FileBytes) {
  EXPECT_EQ(npy_file_bytes(bytes_of(kThree), "file"), kThree.size());
  EXPECT_EQ(npy_file_bytes(bytes_of(kThree).first(kThree.size() - 6), "file"), kThree.size());
  EXPECT_EQ(error_of([] { npy_file_bytes(bytes_of(kThree).first(kThree.size() - 7), "file"); }),
            "file: ends within the .npy header: 117 of its 118 bytes are there");
}

TEST(ParseNpy, FortranOrderIsReported) {
  const std::string file = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, )}", "adbecf");
  const Array array = parse_npy(bytes_of(file), "file");
  EXPECT_TRUE(array.fortran_order);
  EXPECT_EQ(array.shape, (std::vector<int64_t>{2, 3}));
}

TEST(ParseNpy, CopiesOnlyWhatIsMisaligned) {
  const std::string file = npy(dictionary("<f8", "(2,)"), std::string(8, '\0') + "\0\0\0\0\0\0\xf8\x3f"s);
  alignas(64) char buffer[256 + 64];
  for (size_t offset = 0; offset < 16; ++offset) {
    std::memcpy(buffer + offset, file.data(), file.size());
    const Array array = parse_npy(std::as_bytes(std::span(buffer + offset, file.size())), "file");
    EXPECT_EQ(array.owner != nullptr, offset % 8 != 0) << offset;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data) % 8, 0u) << offset;
    EXPECT_EQ(values<double>(array), (std::vector<double>{0, 1.5})) << offset;
  }
}

TEST(ParseNpy, ZeroDimensionsPromiseNothing) {
  const Array array = parse_npy(bytes_of(npy(dictionary("<f8", "(0, 1152921504606846975)"))), "file");
  EXPECT_EQ(array.size(), 0);
}

TEST(ParseNpy, RefusesTypesByName) {
  const std::pair<const char*, const char*> types[] = {
      {">f4", "big-endian"}, {">i8", "big-endian"},    {"|b1", "boolean"},   {"<c8", "complex"},
      {"<c16", "complex"},   {"|O", "Python objects"}, {"<U5", "strings"},   {"|S5", "strings"},
      {"|V1", "raw bytes"},  {"|V4", "raw bytes"},     {"<V4", "raw bytes"}, {">V2", "big-endian"},
      {"<M8[ns]", "dates"},  {"<m8[s]", "dates"},      {"<f16", "unknown"},  {"f4", "unknown"},
      {"", "unknown"},       {"<", "unknown"},         {"<i1", "unknown"},   {"=f4", "unknown"},
  };
  for (const auto& [descr, kind] : types) {
    const std::string expected = "type '" + std::string(descr) + "' is " + kind +
                                 ", allowed are <f4 <f8 <f2 <V2 |V2 |i1 |u1 <i2 <u2 <i4 <u4 <i8 <u8";
    EXPECT_THAT(refusal(npy(dictionary(descr, "(1,)"), "abcd")), HasSubstr(expected));
  }
  EXPECT_THAT(refusal(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "abcd")),
              HasSubstr("type is structured, allowed are <f4"));
}

TEST(ParseNpy, RefusesShapes) {
  const std::pair<const char*, const char*> shapes[] = {
      {"(-1,)", "dimension -1, at least 0 is needed"},
      {"(9223372036854775808,)", "a dimension does not fit in 64 bits"},
      {"(-9223372036854775809,)", "a dimension does not fit in 64 bits"},
      {"(9223372036854775807,)", "shape (9223372036854775807,) is too large for 64 bits"},
      {"(4611686018427387904, 4)", "too large for 64 bits"},
      {"(4294967296, 4294967296, 4294967296)", "too large for 64 bits"},
      {"(0, 9223372036854775807, 3)", "too large for 64 bits"},
      {"(9223372036854775807, 3, 0)", "too large for 64 bits"},
      {"(1, 1, 1, 1, 1, 1, 1, 1, 1)", "9 dimensions, at most 8 are allowed"},
      {"(1)", "found ')', ',' is needed"},
      {"1", "found '1', '(' is needed"},
      {"[1]", "found '[', '(' is needed"},
      {"(1, 1", "found '}', a dimension is needed"},  // the dictionary's comma is taken for the shape's
      {"(,)", "found ',', a dimension is needed"},
      {"(1,,)", "found ',', a dimension is needed"},
      {"(1 1)", "found '1', ',' is needed"},
      {"(1.0,)", "found '.', ',' is needed"},
      {"(1L,)", "found 'L', ',' is needed"},
      {"(01,)", "a dimension with leading zeros, none are allowed"},
      {"(+1,)", "found '+', a dimension is needed"},
      {"None", "found 'N', '(' is needed"},
      {"tuple([1])", "found 't', '(' is needed"},
  };
  for (const auto& [shape, reason] : shapes) {
    EXPECT_THAT(refusal(npy(dictionary("<f4", shape), "abcd")), HasSubstr(reason)) << shape;
  }
}

TEST(ParseNpy, RefusesDictionaries) {
  const std::pair<std::string, const char*> headers[] = {
      {"", "found the end, '{' is needed"},
      {"{", "found the end, ''' is needed"},
      {"{}", "a key is missing"},
      {"{'descr': '<f4', 'fortran_order': False}", "a key is missing, 'descr', 'fortran_order' and 'shape'"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", "key 'x', allowed are 'descr'"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "key 'descr', allowed are"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()", "found the end, '}' is needed"},
      {"{'descr': '<f4', 'fortran_order': False 'shape': ()}", "found ''', '}' is needed"},
      {"{'descr': '<f4', 'fortran_order': False,, 'shape': ()}", "found ',', ''' is needed"},
      {"{'descr' '<f4', 'fortran_order': False, 'shape': ()}", "found ''', ':' is needed"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "found '0', True or False is needed"},
      {"{'descr': '<f4', 'fortran_order': Falsehood, 'shape': ()}", "found 'h', '}' is needed"},
      {"{'descr': '<f4", "within a string"},
      {"{'descr': \"<f4', 'fortran_order': False, 'shape': ()}", "within a string"},
      {"{'d\\x65scr': '<f4', 'fortran_order': False, 'shape': ()}", "found '\\' within a string"},
      {"{'d\xe9scr': '<f4', 'fortran_order': False, 'shape': ()}", "found byte 233 within a string"},
      {"{'descr': '<f4\n', 'fortran_order': False, 'shape': ()}", "found byte 10 within a string"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}, 1", "found ',' after the dictionary"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}\t", "found byte 9 after the dictionary"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}" + std::string(1, '\0'), "found byte 0 after"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}\xff", "found byte 255 after the dictionary"},
  };
  for (const auto& [header, reason] : headers) {
    EXPECT_THAT(refusal(npy(header, "abcd")), HasSubstr(reason)) << header;
  }
}

TEST(ParseNpy, RefusesFrames) {
  const std::string valid = npy(dictionary("<f4", "()"), "abcd");
  EXPECT_THAT(refusal(""), HasSubstr("no .npy file"));
  EXPECT_THAT(refusal("PK\3\4 an archive of arrays"), HasSubstr("no .npy file"));
  EXPECT_THAT(refusal("\x93NUMPY\4"s + valid.substr(7)), HasSubstr(".npy version 4.0, allowed are 1.0"));
  EXPECT_THAT(refusal("\x93NUMPY\0"s + valid.substr(7)), HasSubstr(".npy version 0.0, allowed are 1.0"));
  EXPECT_THAT(refusal("\x93NUMPY\1\1"s + valid.substr(8)), HasSubstr(".npy version 1.1, allowed are 1.0"));
  EXPECT_THAT(refusal("\x93NUMPY\1\0\xff\xff"s + valid.substr(10)), HasSubstr("122 of its 65535 bytes"));
  EXPECT_THAT(refusal("\x93NUMPY\2\0\xff\xff\xff\xff"s + valid.substr(12)),
              HasSubstr("a header of 4294967295 bytes, at most 65536 are allowed"));
  EXPECT_THAT(refusal("\x93NUMPY\2\0\1\0\1\0"s + std::string(70000, ' ')),
              HasSubstr("a header of 65537 bytes"));
}

TEST(ParseNpy, RefusesTheWrongSize) {
  EXPECT_EQ(refusal(npy(dictionary("<f4", "(2, 3)"), std::string(23, 'x'))),
            "file: 23 bytes of data, shape (2, 3) of f32 needs 24");
  EXPECT_EQ(refusal(npy(dictionary("<f4", "(2, 3)"), std::string(25, 'x'))),
            "file: 25 bytes of data, shape (2, 3) of f32 needs 24");
  EXPECT_EQ(refusal(npy(dictionary("<f4", "(0, 3)"), "x")),
            "file: 1 bytes of data, shape (0, 3) of f32 needs 0");
  EXPECT_EQ(refusal(npy(dictionary("<f8", "()"))), "file: 0 bytes of data, shape () of f64 needs 8");
}

TEST(ParseNpy, LongestHeader) {
  EXPECT_EQ(refusal(npy(dictionary("<i2", "(2,)"), "abcd", 2, 65536 + 12)), "");
  EXPECT_EQ(refusal(npy(dictionary("<i2", "(2,)"), "abcd", 1, 65000)), "");
}

TEST(ParseNpy, RefusesEveryPrefix) {
  for (size_t size = 0; size < kThree.size(); ++size) {
    EXPECT_THAT(refusal(kThree.substr(0, size)), StartsWith("file: ")) << size;
  }
  EXPECT_EQ(refusal(kThree), "");
}

TEST(ParseNpy, EveryWrongByteParsesOrIsRefused) {
  std::string file = kThree;
  int parsed = 0;
  for (char& byte : file) {
    const char right = byte;
    for (int wrong = 0; wrong < 256; ++wrong) {
      byte = static_cast<char>(wrong);
      const std::string error = refusal(file);
      parsed += error.empty();
      EXPECT_EQ(error.find('\n'), std::string::npos);
    }
    byte = right;
  }
  // At least the 6 bytes of data may be anything.
  EXPECT_GE(parsed, 6 * 256);
}

}  // namespace
}  // namespace labelsmooth::io
