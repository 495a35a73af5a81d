// SPDX-License-Identifier: MIT
// .npz files: archives as NumPy writes them, and archives made to hurt.
#include "io/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>  // std::memcpy
#include <utility>  // std::pair

#include "fixtures.h"

namespace labelsmooth::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

template <class T>
std::string little(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}
std::string u16(uint64_t value) { return little(static_cast<uint16_t>(value)); }
std::string u32(uint64_t value) { return little(static_cast<uint32_t>(value)); }
std::string u64(uint64_t value) { return little(value); }

std::string deflated(const std::string& data) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, data.size()), '\0');
  std::string in = data;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A member, with all that can be wrong about it.
struct Member {
  std::string name, data;
  uint16_t method = 0, flags = 0;
  bool wide = false;                         // sizes and offset in zip64 fields
  std::string packed = {}, local_name = {};  // what is stored, if not the data (deflated)
  int64_t bytes = -1, local_bytes = -1;  // what the directory and the local header promise, if not the truth
  uint32_t crc_error = 0, local_crc_error = 0;
  uint64_t offset_error = 0;
  std::string extra = {};
};

struct Archive {
  std::vector<Member> members = {};
  bool wide = false;  // zip64 end records
  uint64_t count_error = 0, size_error = 0, offset_error = 0;
  uint16_t disk = 0;
  std::string before = {}, comment = {};

  std::string bytes() const {
    std::string file = before, directory;
    for (const Member& m : members) {
      const bool streamed = (m.flags & 8) != 0;
      const std::string packed = !m.packed.empty() ? m.packed : m.method == 8 ? deflated(m.data) : m.data;
      const uint64_t crc =
          crc32(0, reinterpret_cast<const Bytef*>(m.data.data()), static_cast<uInt>(m.data.size()));
      const uint64_t promised = m.bytes < 0 ? m.data.size() : static_cast<uint64_t>(m.bytes);
      const uint64_t local_promised = m.local_bytes < 0 ? promised : static_cast<uint64_t>(m.local_bytes);
      const uint64_t offset = file.size() + m.offset_error;
      const auto size = [&](uint64_t value) { return m.wide ? u32(0xffffffff) : u32(value); };
      const std::string wide_local =
          m.wide ? u16(1) + u16(16) + u64(streamed ? 0 : local_promised) + u64(streamed ? 0 : packed.size())
                 : "";
      const std::string wide_entry =
          m.wide ? u16(1) + u16(24) + u64(promised) + u64(packed.size()) + u64(offset) : "";
      const std::string& local_name = m.local_name.empty() ? m.name : m.local_name;
      file += "PK\3\4" + u16(20) + u16(m.flags) + u16(m.method) + u32(0) +
              u32(streamed ? 0 : crc ^ m.crc_error ^ m.local_crc_error) +
              (streamed && !m.wide ? u32(0) : size(packed.size())) +
              (streamed && !m.wide ? u32(0) : size(local_promised)) + u16(local_name.size()) +
              u16(wide_local.size() + m.extra.size()) + local_name + m.extra + wide_local + packed;
      if (streamed) file += "PK\7\10" + u32(crc) + u32(packed.size()) + u32(promised);
      directory += "PK\1\2" + u16(20) + u16(20) + u16(m.flags) + u16(m.method) + u32(0) +
                   u32(crc ^ m.crc_error) + size(packed.size()) + size(promised) + u16(m.name.size()) +
                   u16(wide_entry.size() + m.extra.size()) + u16(0) + u16(0) + u16(0) + u32(0) +
                   size(offset) + m.name + m.extra + wide_entry;
    }
    const uint64_t count = members.size() + count_error, size = directory.size() + size_error,
                   offset = file.size() + offset_error, end64 = file.size() + directory.size();
    file += directory;
    if (wide) {
      file += "PK\6\6" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(count) + u64(count) + u64(size) +
              u64(offset) + "PK\6\7" + u32(0) + u64(end64) + u32(1);
    }
    const auto narrow = [&](uint64_t value, uint64_t saturated) { return wide ? saturated : value; };
    return file + "PK\5\6" + u16(disk) + u16(disk) + u16(narrow(count, 0xffff)) + u16(narrow(count, 0xffff)) +
           u32(narrow(size, 0xffffffff)) + u32(narrow(offset, 0xffffffff)) + u16(comment.size()) + comment;
  }
};

const std::string kThree = npy(dictionary("<i2", "(3,)"), "\1\0\2\0\3\0"s);
const std::string kLong = npy(dictionary("<i4", "(50000,)"), std::string(200000, '\1'));

std::string refusal(const Archive& archive, const std::optional<std::string>& name = {}) {
  const std::string file = archive.bytes();
  return error_of([&] { parse_npz(bytes_of(file), "file", name); });
}
std::string refusal(const Member& member) { return refusal(Archive{.members = {member}}); }

TEST(ParseNpz, EveryWayOfStoringIsTheSame) {
  for (const uint16_t method : {0, 8}) {
    for (const uint16_t flags : {0, 8, 2 | 4 | 2048, 8 | 2048}) {
      for (const bool wide : {false, true}) {
        for (const std::string& extra : {""s, u16(0x5455) + u16(5) + "\1abcd"s}) {
          const Member three = {.name = "a.npy",
                                .data = kThree,
                                .method = method,
                                .flags = flags,
                                .wide = wide,
                                .extra = extra};
          Member other = three;
          other.name = "b.npy";
          other.data = kLong;
          const std::string file = Archive{.members = {other, three}, .wide = wide}.bytes();
          const Array array = parse_npz(bytes_of(file), "file", "a");
          EXPECT_EQ(array.dtype, DType::i16);
          EXPECT_EQ(array.shape, std::vector<int64_t>{3});
          EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2, 3}));
          EXPECT_EQ(parse_npz(bytes_of(file), "file", "b").size(), 50000);
          const std::string one = Archive{.members = {three}, .wide = wide}.bytes();
          EXPECT_EQ(values<int16_t>(parse_npz(bytes_of(one), "file")), (std::vector<int16_t>{1, 2, 3}));
        }
      }
    }
  }
}

TEST(ParseNpz, StoredArraysAreCopiedOnlyIfMisaligned) {
  int borrowed = 0;
  for (size_t length = 0; length < 16; ++length) {
    const std::string file =
        Archive{.members = {{.name = std::string(length, 'x') + ".npy", .data = kThree}}}.bytes();
    const Array array = parse_npz(bytes_of(file), "file");
    const auto* data = static_cast<const char*>(array.data);
    const bool inside = data >= file.data() && data < file.data() + file.size();
    EXPECT_EQ(inside, array.owner == nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 2, 0u);
    EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2, 3}));
    borrowed += inside ? 1 : 0;
  }
  EXPECT_EQ(borrowed, 8);
}

TEST(ParseNpz, ArraysOfEveryShape) {
  const std::pair<std::string, std::vector<int64_t>> shapes[] = {
      {"()", {}}, {"(0,)", {0}}, {"(0, 5)", {0, 5}}, {"(1, 1, 1, 1, 1, 1, 1, 1)", {1, 1, 1, 1, 1, 1, 1, 1}}};
  for (const uint16_t method : {0, 8}) {
    for (const auto& [text, shape] : shapes) {
      const bool empty = text[1] == '0';
      const Member member = {.name = "a.npy",
                             .data = npy(dictionary("<f8", text), std::string(empty ? 0 : 8, '\0')),
                             .method = method};
      const std::string file = Archive{.members = {member}}.bytes();
      EXPECT_EQ(parse_npz(bytes_of(file), "file").shape, shape) << text;
    }
    const std::string fortran = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", "adbecf");
    const std::string file =
        Archive{.members = {{.name = "a.npy", .data = fortran, .method = method}}}.bytes();
    const Array array = parse_npz(bytes_of(file), "file");
    EXPECT_TRUE(array.fortran_order);
    EXPECT_EQ(values<char>(array), (std::vector<char>{'a', 'd', 'b', 'e', 'c', 'f'}));
  }
}

TEST(ParseNpz, ManyMembers) {
  Archive archive;
  for (int i = 0; i < 70000; ++i)
    archive.members.push_back({.name = std::to_string(i) + ".npy", .data = i == 66000 ? kThree : ""});
  archive.wide = true;
  const std::string file = archive.bytes();
  EXPECT_EQ(parse_npz(bytes_of(file), "file", "66000").size(), 3);
  EXPECT_THAT(error_of([&] { parse_npz(bytes_of(file), "file"); }), HasSubstr("18, 19 and 69980 more"));
}

TEST(ParseNpz, Names) {
  const std::string odd[] = {"",   "a/b",      "a:b",          "x.npz:y", ".npy", "a b",
                             "\n", "\x1b[31m", "\xe5\x90\x8d", "\0"s,     "a.npy"};
  Archive archive;
  for (const std::string& name : odd) archive.members.push_back({.name = name + ".npy", .data = kThree});
  const std::string file = archive.bytes();
  for (const std::string& name : odd) {
    EXPECT_EQ(parse_npz(bytes_of(file), "file", name).size(), 3) << name;
  }
  EXPECT_EQ(refusal(archive, "z"),
            "file:z: no such array, allowed are: , a/b, a:b, x.npz:y, .npy, a b, \\x0a, \\x1b[31m, "
            "\\xe5\\x90\\x8d, \\x00, a.npy");
  EXPECT_EQ(refusal({.members = {{.name = "a.npy", .data = kThree},
                                 {.name = "b.npy", .data = kThree},
                                 {.name = "c.txt", .data = "x"}}}),
            "file: 2 arrays found, one or file:NAME is needed; its names: a, b");
  EXPECT_EQ(refusal({.members = {{.name = "c.txt", .data = "x"}}}),
            "file: 0 arrays found, one or file:NAME is needed; its names: none");
  EXPECT_EQ(refusal({.members = {{.name = "c.txt", .data = "x"}}}, "c.txt"),
            "file:c.txt: no such array, allowed are: none");
  EXPECT_THAT(refusal(Archive{}), HasSubstr("0 arrays found"));
  EXPECT_EQ(refusal({.members = {{.name = "a.npy", .data = kThree}, {.name = "a.npy", .data = kThree}}}, "a"),
            "file:a: two arrays of this name, one is allowed");
  EXPECT_EQ(refusal({.members = {{.name = "c.txt", .data = "x"}, {.name = "a.npy", .data = kThree}}}), "");
}

TEST(ParseNpz, RefusesMembers) {
  const std::pair<Member, const char*> members[] = {
      {{.name = "a.npy", .data = kThree, .flags = 1}, "is encrypted"},
      {{.name = "a.npy", .data = kThree, .flags = 64}, "is encrypted"},
      {{.name = "a.npy", .data = kThree, .flags = 8192}, "is encrypted"},
      {{.name = "a.npy", .data = kThree, .flags = 32}, "zip flags 32 found"},
      {{.name = "a.npy", .data = kThree, .method = 1},
       "is compressed by number 1, allowed are stored and deflate"},
      {{.name = "a.npy", .data = kThree, .method = 9}, "is compressed by deflate64"},
      {{.name = "a.npy", .data = kThree, .method = 12}, "is compressed by bzip2"},
      {{.name = "a.npy", .data = kThree, .method = 14}, "is compressed by LZMA"},
      {{.name = "a.npy", .data = kThree, .method = 93}, "is compressed by Zstandard"},
      {{.name = "a.npy", .data = kThree, .method = 95}, "is compressed by XZ"},
      {{.name = "a.npy", .data = kThree, .crc_error = 1}, "its CRC-32 is not that of the directory"},
      {{.name = "a.npy", .data = kThree, .method = 8, .crc_error = 1},
       "its CRC-32 is not that of the directory"},
      {{.name = "a.npy", .data = kThree, .flags = 8, .crc_error = 1},
       "its CRC-32 is not that of the directory"},
      {{.name = "a.npy", .data = kThree, .local_crc_error = 1}, "differs from its entry"},
      {{.name = "a.npy", .data = kThree, .local_name = "b.npy"}, "differs from its entry"},
      {{.name = "a.npy", .data = kThree, .local_bytes = 1}, "differs from its entry"},
      {{.name = "a.npy", .data = kThree, .wide = true, .local_bytes = 1}, "differs from its entry"},
      {{.name = "a.npy", .data = kThree, .bytes = 1}, "is stored in 134 bytes, the directory promises 1"},
      {{.name = "a.npy", .data = kThree, .wide = true, .bytes = 1LL << 40},
       "is stored in 134 bytes, the directory promises"},
      {{.name = "a.npy", .data = kThree, .offset_error = 1}, "is not where the directory says"},
      {{.name = "a.npy", .data = kThree, .offset_error = 160}, "is not where the directory says"},
      {{.name = "a.npy", .data = kThree, .offset_error = 400}, "is not where the directory says"},
      {{.name = "a.npy", .data = kThree, .offset_error = 1u << 31}, "is not where the directory says"},
      {{.name = "a.npy", .data = kThree, .wide = true, .offset_error = ~0ull},
       "is not where the directory says"},
      {{.name = "a.npy", .data = "no array"}, "no .npy file"},
      {{.name = "a.npy", .data = "no array", .method = 8}, "no .npy file"},
      {{.name = "a.npy", .data = ""}, "no .npy file"},
      {{.name = "a.npy", .data = "", .method = 8}, "no .npy file"},
      {{.name = "a.npy", .data = npy(dictionary("|O", "(1,)"), "x")}, "Python objects"},
      {{.name = "a.npy", .data = kThree + "x"}, "7 bytes of data, shape (3,) of i16 needs 6"},
  };
  for (const auto& [member, reason] : members) {
    EXPECT_THAT(refusal(member), StartsWith("file:a: ")) << reason;
    EXPECT_THAT(refusal(member), HasSubstr(reason));
  }
  for (const std::string& extra : {"x"s, "\1\0\4"s, u16(7) + u16(5) + "abcd"s}) {
    EXPECT_THAT(refusal(Member{.name = "a.npy", .data = kThree, .extra = extra}), HasSubstr("extra field"));
  }
}

// Whatever is promised, nothing is inflated that the array's own header does not ask for.
TEST(ParseNpz, RefusesBombs) {
  const std::string huge = npy(dictionary("<f8", "(1099511627776,)"), std::string(100000, '\0'));
  const std::string wrong = npy(dictionary("<i2", "(2,)"), "\1\0\2\0\3\0"s);
  const std::string stream = deflated(kLong);
  const auto size = static_cast<int64_t>(kLong.size());
  const std::pair<Member, const char*> members[] = {
      {{.name = "a.npy", .data = huge, .method = 8},
       "its header promises 8796093022336 bytes, the directory 100128"},
      {{.name = "a.npy", .data = huge, .method = 8, .wide = true, .bytes = 8796093022336},
       "cannot hold the 8796093022336"},
      {{.name = "a.npy", .data = kThree, .method = 8, .wide = true, .bytes = 1LL << 62},
       "cannot hold the 4611686018427387904"},
      {{.name = "a.npy", .data = kLong, .method = 8, .bytes = size + 1},
       "its header promises 200128 bytes, the directory 200129"},
      {{.name = "a.npy", .data = kLong, .method = 8, .bytes = 100}, "ends within the .npy header"},
      {{.name = "a.npy", .data = wrong, .method = 8}, "its header promises 132 bytes, the directory 134"},
      {{.name = "a.npy", .data = wrong, .method = 8, .bytes = 132},
       "inflates to more than the 132 bytes that its header"},
      {{.name = "a.npy", .data = kLong, .method = 8, .packed = deflated(kLong + "x")},
       "inflates to more than the 200128 bytes"},
      {{.name = "a.npy", .data = kLong, .method = 8, .packed = deflated(kLong.substr(0, 200127))},
       "inflates to 200127 bytes, its header promises 200128"},
      {{.name = "a.npy", .data = kLong, .method = 8, .packed = deflated(kLong.substr(0, 150))},
       "cannot hold"},
      {{.name = "a.npy", .data = kLong, .method = 8, .packed = stream + "x"},
       "1 bytes follow its deflate stream"},
      {{.name = "a.npy", .data = kLong, .method = 8, .packed = stream.substr(0, stream.size() - 1)},
       "the deflate stream is cut off"},
      {{.name = "a.npy", .data = kLong, .method = 8, .packed = std::string(stream.size(), '\xff')},
       "the deflate stream is corrupt"},
  };
  for (const auto& [member, reason] : members) EXPECT_THAT(refusal(member), HasSubstr(reason));
}

TEST(ParseNpz, RefusesFrames) {
  const std::vector<Member> one = {{.name = "a.npy", .data = kThree}};
  const std::pair<Archive, const char*> archives[] = {
      {{.members = one, .disk = 1}, "is one of several disks"},
      {{.members = one, .before = "#!"}, "does not begin with PK"},
      {{.members = one, .comment = "x"}, "does not end with a zip end record"},
      {{.members = one, .comment = "PK\5\6" + std::string(18, '\0')}, "is not where its end record says"},
      {{.members = one, .comment = "PK\5\6" + std::string(16, '\0') + "\1\0"s}, "its zip comment is cut off"},
      {{.members = one, .count_error = 1}, "file, zip entry 1: is not there"},
      {{.members = one, .count_error = ~0ull}, "more than the entries that it counts"},
      {{.members = one, .size_error = 1}, "is not where its end record says"},
      {{.members = one, .offset_error = 1}, "is not where its end record says"},
      {{.members = one, .offset_error = 1u << 31}, "is not where its end record says"},
      {{.members = one, .wide = true, .count_error = 1}, "file, zip entry 1: is not there"},
      {{.members = one, .wide = true, .count_error = 1ull << 60}, "file, zip entry 1: is not there"},
      {{.members = one, .wide = true, .size_error = ~0ull}, "is not where its end record says"},
      {{.members = one, .wide = true, .offset_error = ~0ull - 100}, "is not where its end record says"},
  };
  for (const auto& [archive, reason] : archives) EXPECT_THAT(refusal(archive), HasSubstr(reason));
  EXPECT_THAT(error_of([] { parse_npz({}, "file"); }), HasSubstr("no .npz file"));
  EXPECT_THAT(error_of([] { parse_npz(bytes_of(kThree), "file"); }), HasSubstr("no .npz file"));

  const std::string file = Archive{.members = one, .wide = true}.bytes();
  const size_t end = file.size() - 22, locator = end - 20, wide = locator - 56;
  const auto patched = [&](size_t at, const std::string& bytes) {
    std::string changed = file;
    changed.replace(at, bytes.size(), bytes);
    return error_of([&] { parse_npz(bytes_of(changed), "file"); });
  };
  EXPECT_EQ(patched(end + 10, u16(0xffff)), "");
  EXPECT_EQ(patched(end + 8, u16(1) + u16(1)), "");
  EXPECT_THAT(patched(end + 8, u16(2) + u16(2)), HasSubstr("its two zip end records differ"));
  EXPECT_THAT(patched(end + 12, u32(1)), HasSubstr("its two zip end records differ"));
  EXPECT_THAT(patched(end + 16, u32(1)), HasSubstr("its two zip end records differ"));
  EXPECT_THAT(patched(locator + 8, u64(~0ull)), HasSubstr("zip64 end record is not where"));
  EXPECT_THAT(patched(locator + 8, u64(wide + 1)), HasSubstr("zip64 end record is not where"));
  EXPECT_THAT(patched(locator + 4, u32(1)), HasSubstr("several disks"));
  EXPECT_THAT(patched(locator + 16, u32(2)), HasSubstr("several disks"));
  EXPECT_THAT(patched(wide + 4, u64(45)), HasSubstr("zip64 end record is not where"));
  EXPECT_THAT(patched(wide + 20, u32(1)), HasSubstr("several disks"));
  EXPECT_THAT(patched(wide + 24, u64(2)), HasSubstr("several disks"));
  EXPECT_THAT(patched(locator, "PK\6\1"), HasSubstr("is not where its end record says"));
}

TEST(ParseNpz, RefusesEveryPrefix) {
  for (const uint16_t method : {0, 8}) {
    const std::string file =
        Archive{.members = {{.name = "a.npy", .data = kThree, .method = method}}, .wide = true}.bytes();
    for (size_t size = 0; size < file.size(); ++size) {
      EXPECT_THAT(error_of([&] { parse_npz(bytes_of(file).first(size), "file"); }), StartsWith("file"))
          << size;
    }
  }
}

// The checksum guards the array, and each field that matters is there twice.
TEST(ParseNpz, AWrongByteIsRefusedOrChangesNothing) {
  for (const uint16_t method : {0, 8}) {
    for (const bool wide : {false, true}) {
      std::string file =
          Archive{.members = {{.name = "a.npy", .data = kThree, .method = method, .wide = wide}},
                  .wide = wide}
              .bytes();
      for (char& byte : file) {
        const char right = byte;
        for (int wrong = 0; wrong < 256; ++wrong) {
          byte = static_cast<char>(wrong);
          const std::string error = error_of([&] {
            EXPECT_EQ(values<int16_t>(parse_npz(bytes_of(file), "file")), (std::vector<int16_t>{1, 2, 3}));
          });
          EXPECT_EQ(error.find('\n'), std::string::npos);
        }
        byte = right;
      }
    }
  }
}

TEST(ReadNpz, OutlivesTheFile) {
  for (const uint16_t method : {0, 8}) {
    const TempFolder folder;
    put(folder.path("a.npz"),
        Archive{.members = {{.name = "ab.npy", .data = kThree, .method = method}}}.bytes());
    const Array array = read_npz(folder.path("a.npz"));
    std::filesystem::remove(folder.path("a.npz"));
    EXPECT_EQ(values<int16_t>(array), (std::vector<int16_t>{1, 2, 3}));
    EXPECT_THAT(error_of([&] { read_npz(folder.path("a.npz")); }), HasSubstr("a.npz: cannot be opened"));
  }
}

}  // namespace
}  // namespace labelsmooth::io
