// SPDX-License-Identifier: MIT
// IDX files, plain and gzip: what is read is right or refused with the reason, and no promise is believed.
#include "io/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <zlib.h>

#include <algorithm>  // std::count
#include <utility>    // std::pair

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

std::string idx(const std::vector<uint32_t>& shape, const std::string& data, char type = 8) {
  std::string file = {0, 0, type, static_cast<char>(shape.size())};
  for (const uint32_t dimension : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(dimension >> shift & 0xff);
  }
  return file + data;
}

/// By zlib's one-call interface, independent of the writer under test.
std::string gzip(std::string content) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string file(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(file.data());
  stream.avail_out = static_cast<uInt>(file.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  file.resize(stream.total_out);
  deflateEnd(&stream);
  return file;
}

std::string refusal(const std::string& file) {
  return error_of([&] { parse_idx(bytes_of(file), "file"); });
}

const std::string kPlain = idx({2, 3}, "abcdef");
const std::string kGzip = gzip(kPlain);

TEST(Idx, ReadsPlainAndGzip) {
  for (const std::string& file : {kPlain, kGzip}) {
    const Idx result = parse_idx(bytes_of(file), "file");
    EXPECT_EQ(result.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(result.values, (std::vector<uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  }
}

TEST(Idx, DimensionsAreBigEndian) {
  const Idx result = parse_idx(bytes_of(idx({0x0102, 1}, std::string(0x0102, 'x'))), "file");
  EXPECT_EQ(result.shape, (std::vector<int64_t>{258, 1}));
}

TEST(Idx, WritesTheFormat) {
  const TempFolder folder;
  const uint8_t values[] = {'a', 'b', 'c', 'd', 'e', 'f'};
  write_idx(folder.path("a"), {2, 3}, values);
  EXPECT_EQ(get(folder.path("a")), kPlain);
  write_idx(folder.path("a.gz"), {2, 3}, values);
  // Magic, deflate, no flags, no time: nothing in it but the values.
  EXPECT_THAT(get(folder.path("a.gz")), StartsWith("\x1f\x8b\x08\0\0\0\0\0"s));
}

RC_GTEST_PROP(Idx, RoundTrip, ()) {
  const auto rank = *rc::gen::inRange<size_t>(1, 5);
  const auto shape = *rc::gen::container<std::vector<int64_t>>(rank, rc::gen::inRange<int64_t>(0, 6));
  size_t size = 1;
  for (const int64_t dimension : shape) size *= static_cast<size_t>(dimension);
  const auto values = *rc::gen::container<std::vector<uint8_t>>(size, rc::gen::arbitrary<uint8_t>());
  const TempFolder folder;
  for (const char* name : {"a", "a.gz"}) {
    write_idx(folder.path(name), shape, values);
    const Idx result = read_idx(folder.path(name));
    RC_ASSERT(result.shape == shape);
    RC_ASSERT(result.values == values);
  }
}

TEST(Idx, RoundTripOfMoreThanABuffer) {
  const TempFolder folder;
  uint32_t state = 1;
  // Noise does not shrink: around the 64 KiB that the writer compresses at once, and well past them.
  for (const size_t size : {65400u, 65500u, 65510u, 65520u, 65536u, 65600u, 300000u}) {
    std::vector<uint8_t> noise(size);
    for (uint8_t& value : noise) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    write_idx(folder.path("a.gz"), {static_cast<int64_t>(size)}, noise);
    EXPECT_EQ(read_idx(folder.path("a.gz")).values, noise);
  }
}

TEST(Idx, FashionMnist) {
  const std::string folder = "/usr/share/datasets/fashion-mnist/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "Fashion-MNIST is not installed";
  const Idx images = read_idx(folder + "train-images-idx3-ubyte.gz");
  EXPECT_EQ(images.shape, (std::vector<int64_t>{60000, 28, 28}));
  EXPECT_EQ(images.values.size(), 60000u * 28 * 28);
  const Idx labels = read_idx(folder + "train-labels-idx1-ubyte.gz");
  EXPECT_EQ(labels.shape, (std::vector<int64_t>{60000}));
  for (uint8_t label = 0; label < 10; ++label) {
    EXPECT_EQ(std::count(labels.values.begin(), labels.values.end(), label), 6000);
  }
}

TEST(Idx, RefusesHeaders) {
  const std::pair<std::string, const char*> files[] = {
      {"", "ends within the IDX header"},
      {"\0\0\x08"s, "ends within the IDX header"},
      {idx({2, 3}, "abcdef").substr(0, 11), "ends within the IDX header"},
      {"\1"s + kPlain.substr(1), "no IDX file: it does not begin with two zero bytes"},
      {"\0\1"s + kPlain.substr(2), "no IDX file"},
      {idx({1}, "a", 0x09), "type 9 (int8), only 8 (unsigned byte) is allowed"},
      {idx({1}, "ab", 0x0b), "type 11 (int16)"},
      {idx({1}, "abcd", 0x0c), "type 12 (int32)"},
      {idx({1}, "abcd", 0x0d), "type 13 (float32)"},
      {idx({1}, "8 bytes.", 0x0e), "type 14 (float64)"},
      {idx({1}, "a", 0), "type 0 (unknown)"},
      {idx({1}, "a", '\xff'), "type 255 (unknown)"},
      {idx({}, ""), "0 dimensions, 1 to 4 are allowed"},
      {idx({1, 1, 1, 1, 1}, "a"), "5 dimensions, 1 to 4 are allowed"},
      {idx({65536, 65537}, ""), "more than 4 GiB of values"},
      {idx({~0u, ~0u, ~0u, ~0u}, ""), "more than 4 GiB of values"},
      {idx({65536, 65536, 65536, 65536}, ""), "more than 4 GiB of values"},  // 2^64: 0 if it wrapped
  };
  for (const auto& [file, reason] : files) {
    EXPECT_THAT(refusal(file), HasSubstr(reason));
    EXPECT_THAT(refusal(gzip(file)), HasSubstr(reason));
  }
}

TEST(Idx, RefusesTheWrongSize) {
  EXPECT_EQ(refusal(idx({2, 3}, "abcde")), "file: 5 bytes of data, its header promises 6");
  EXPECT_EQ(refusal(idx({2, 3}, "abcdefg")), "file: 7 bytes of data, its header promises 6");
  EXPECT_EQ(refusal(idx({0, 3}, "a")), "file: 1 bytes of data, its header promises 0");
  EXPECT_EQ(refusal(gzip(idx({2, 3}, "abcde"))), "file: 5 bytes of data, its header promises 6");
  EXPECT_EQ(refusal(gzip(idx({2, 3}, "abcdefg"))),
            "file: holds more data than the 6 bytes that its header promises");
  EXPECT_EQ(refusal(gzip(idx({0, 3}, "a"))),
            "file: holds more data than the 0 bytes that its header promises");
}

TEST(Idx, RefusesBombs) {
  EXPECT_THAT(refusal(gzip(idx({4}, std::string(10000000, '\0')))), HasSubstr("holds more data than the 4"));
  // The promise is kept by no file of this size, and is refused before the memory is there.
  EXPECT_THAT(refusal(gzip(idx({65536, 65535}, ""))),
              HasSubstr("cannot hold the 4294901760 that its header"));
}

TEST(Idx, RefusesDamagedGzip) {
  const auto with = [](size_t from_end) {
    std::string file = kGzip;
    file[file.size() - from_end] ^= 1;
    return file;
  };
  EXPECT_THAT(refusal(with(5)), HasSubstr("the gzip stream is corrupt: incorrect data check"));
  EXPECT_THAT(refusal(with(1)), HasSubstr("the gzip stream is corrupt: incorrect length check"));
  EXPECT_THAT(refusal("\x1f\x8b\x07" + kGzip.substr(3)), HasSubstr("corrupt: unknown compression method"));
  EXPECT_EQ(refusal(kGzip + "x"), "file: 1 bytes follow the gzip stream, none are allowed");
  EXPECT_EQ(refusal(kGzip + kGzip),
            "file: " + std::to_string(kGzip.size()) + " bytes follow the gzip stream, none are allowed");
  EXPECT_THAT(refusal(kGzip + std::string(512, '\0')), HasSubstr("512 bytes follow the gzip stream"));
}

TEST(Idx, RefusesEveryPrefix) {
  for (size_t size = 0; size < kPlain.size(); ++size) {
    EXPECT_THAT(refusal(kPlain.substr(0, size)), StartsWith("file: ")) << size;
  }
  for (size_t size = 0; size < kGzip.size(); ++size) {
    const char* reason = size < 2 ? "ends within the IDX header" : "the gzip stream is cut off";
    EXPECT_THAT(refusal(kGzip.substr(0, size)), HasSubstr(reason)) << size;
  }
}

TEST(Idx, EveryWrongByteParsesOrIsRefused) {
  for (std::string file : {kPlain, kGzip}) {
    for (char& byte : file) {
      const char right = byte;
      for (int wrong = 0; wrong < 256; ++wrong) {
        byte = static_cast<char>(wrong);
        const std::string error = refusal(file);
        EXPECT_EQ(error.find('\n'), std::string::npos);
      }
      byte = right;
    }
  }
}

TEST(Idx, NamesTheFile) {
  const TempFolder folder;
  put(folder.path("a"), kPlain + "x");
  EXPECT_EQ(error_of([&] { read_idx(folder.path("a")); }),
            folder.path("a") + ": 7 bytes of data, its header promises 6");
  EXPECT_EQ(error_of([&] { read_idx(folder.path("b")); }),
            folder.path("b") + ": cannot be opened: No such file or directory");
}

TEST(Idx, WriterRefusesAndLeavesNothing) {
  const TempFolder folder;
  const std::vector<uint8_t> values(6);
  const auto error = [&](const std::string& path, const std::vector<int64_t>& shape) {
    return error_of([&] { write_idx(path, shape, values); });
  };
  EXPECT_THAT(error(folder.path("a"), {2, 4}), HasSubstr("6 values, the shape needs 8"));
  EXPECT_THAT(error(folder.path("a"), {}), HasSubstr("0 dimensions, 1 to 4 are allowed"));
  EXPECT_THAT(error(folder.path("a"), {6, 1, 1, 1, 1}), HasSubstr("5 dimensions"));
  EXPECT_THAT(error(folder.path("a"), {-6, -1}), HasSubstr("dimension -6, allowed are those of 32 bits"));
  EXPECT_THAT(error(folder.path("a"), {0, 1LL << 32}), HasSubstr("dimension 4294967296"));
  EXPECT_THAT(error("/dev/full", {6}), HasSubstr("No space left on device"));
  EXPECT_THAT(error(folder.path("missing/a.gz"), {6}), HasSubstr("No such file or directory"));
  EXPECT_EQ(folder.entries(), 0);
}

}  // namespace
}  // namespace labelsmooth::io
