// SPDX-License-Identifier: MIT
// Names of the fields follow APPNOTE.TXT, PKWARE's description of the zip format.
#include "io/npz.h"

#include <algorithm>         // std::copy_n, std::min
#include <cstdint>           // uint16_t, uint32_t, uint64_t
#include <cstring>           // std::memcpy
#include <initializer_list>  // std::initializer_list
#include <memory>            // std::make_shared_for_overwrite
#include <string_view>       // std::string_view
#include <vector>            // std::vector

#include "io/file.h"
#include "io/inflate.h"
#include "io/member.h"
#include "io/npy.h"

namespace labelsmooth::io {
namespace {

using Bytes = std::span<const std::byte>;

// The fixed parts of the records, and how each begins.
constexpr size_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56;
constexpr uint32_t kLocal = 0x04034b50, kEntry = 0x02014b50, kEnd = 0x06054b50, kLocator = 0x07064b50,
                   kEnd64 = 0x06064b50;
constexpr uint16_t kStored = 0, kDeflated = 8;
constexpr uint16_t kSizesFollow = 1 << 3;  // the writer could not seek: the local header has no sizes
// Those, the two bits of deflate's level, and names in UTF-8.
constexpr uint16_t kAllowedFlags = kSizesFollow | 1 << 1 | 1 << 2 | 1 << 11;
constexpr uint16_t kEncrypted = 1 << 0 | 1 << 6 | 1 << 13;
constexpr uint16_t kWide16 = 0xffff;  // the value is in a zip64 record
constexpr uint32_t kWide32 = 0xffffffff;

/// The field at `at`, which the caller knows to be there.
template <class T>
T field(Bytes bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool begins(Bytes bytes, uint32_t signature) {
  return bytes.size() >= 4 && field<uint32_t>(bytes, 0) == signature;
}

std::string_view text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A member as the central directory, or its local header, describes it.
struct Entry {
  std::string_view name;
  uint16_t flags, method;
  uint32_t crc;
  uint64_t compressed_bytes, bytes, offset;
};

struct Directory {
  size_t begin, end;
  uint64_t entries;
};

Directory checked(uint64_t begin, uint64_t size, size_t end, uint64_t entries, const std::string& file) {
  if (begin > end || size != end - begin) {
    throw Error(file, "the zip directory is not where its end record says: bytes are missing or were added");
  }
  return {static_cast<size_t>(begin), end, entries};
}

/// What the zip64 records say, of which the locator is the last; `end` is the record of the older format.
Directory find_directory64(Bytes bytes, Bytes end, size_t locator_at, const std::string& file) {
  const Bytes locator = bytes.subspan(locator_at);
  const auto at = field<uint64_t>(locator, 8);
  if (at > locator_at || locator_at - at < kEnd64Bytes || !begins(bytes.subspan(at), kEnd64) ||
      field<uint64_t>(bytes, at + 4) != locator_at - at - 12) {
    throw Error(file, "the zip64 end record is not where its locator says");
  }
  const Bytes wide = bytes.subspan(at);
  if (field<uint32_t>(locator, 4) != 0 || field<uint32_t>(locator, 16) > 1 ||
      field<uint32_t>(wide, 16) != 0 || field<uint32_t>(wide, 20) != 0 ||
      field<uint64_t>(wide, 24) != field<uint64_t>(wide, 32)) {
    throw Error(file, "is one of several disks of a zip archive, one is allowed");
  }
  const auto entries = field<uint64_t>(wide, 32), size = field<uint64_t>(wide, 40),
             begin = field<uint64_t>(wide, 48);
  const auto agrees = [](uint64_t value, uint64_t narrow, uint64_t saturated) {
    return narrow == saturated || narrow == value;
  };
  if (!agrees(entries, field<uint16_t>(end, 10), kWide16) ||
      !agrees(size, field<uint32_t>(end, 12), kWide32) || !agrees(begin, field<uint32_t>(end, 16), kWide32)) {
    throw Error(file, "its two zip end records differ");
  }
  return checked(begin, size, at, entries, file);
}

Directory find_directory(Bytes bytes, const std::string& file) {
  if (!begins(bytes, kLocal) && !begins(bytes, kEnd)) {
    throw Error(file, "no .npz file: it does not begin with PK as zip archives do");
  }
  if (bytes.size() < kEndBytes || !begins(bytes.last(kEndBytes), kEnd)) {
    throw Error(file, "does not end with a zip end record: it is cut off, or something follows");
  }
  const size_t end_at = bytes.size() - kEndBytes;
  const Bytes end = bytes.subspan(end_at);
  if (field<uint16_t>(end, 4) != 0 || field<uint16_t>(end, 6) != 0 ||
      field<uint16_t>(end, 8) != field<uint16_t>(end, 10)) {
    throw Error(file, "is one of several disks of a zip archive, one is allowed");
  }
  if (field<uint16_t>(end, 20) != 0) throw Error(file, "its zip comment is cut off");
  if (end_at >= kLocatorBytes && begins(bytes.subspan(end_at - kLocatorBytes), kLocator)) {
    return find_directory64(bytes, end, end_at - kLocatorBytes, file);
  }
  return checked(field<uint32_t>(end, 16), field<uint32_t>(end, 12), end_at, field<uint16_t>(end, 10), file);
}

/// Takes those of the values that did not fit in 32 bits out of the zip64 extra field, where they are in
/// order.
void widen(Bytes extra, std::initializer_list<uint64_t*> values, const std::string& where) {
  constexpr uint16_t kZip64 = 1;
  Bytes wide;
  while (!extra.empty()) {
    if (extra.size() < 4 || field<uint16_t>(extra, 2) > extra.size() - 4) {
      throw Error(where, "an extra field of its zip header is cut off");
    }
    const uint16_t size = field<uint16_t>(extra, 2);
    if (field<uint16_t>(extra, 0) == kZip64) wide = extra.subspan(4, size);
    extra = extra.subspan(4 + size);
  }
  for (uint64_t* value : values) {
    if (*value != kWide32) continue;
    if (wide.size() < 8) throw Error(where, "its zip header lacks a 64-bit size");
    *value = field<uint64_t>(wide, 0);
    wide = wide.subspan(8);
  }
}

/// The members that are arrays.
std::vector<Entry> entries_of(Bytes bytes, const Directory& directory, const std::string& file) {
  std::vector<Entry> entries;
  Bytes rest = bytes.subspan(directory.begin, directory.end - directory.begin);
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const std::string where = file + ", zip entry " + std::to_string(i);
    if (rest.size() < kEntryBytes || !begins(rest, kEntry)) throw Error(where, "is not there");
    const size_t name_bytes = field<uint16_t>(rest, 28), extra_bytes = field<uint16_t>(rest, 30);
    const size_t size = kEntryBytes + name_bytes + extra_bytes + field<uint16_t>(rest, 32);
    if (size > rest.size()) throw Error(where, "is cut off");
    if (field<uint16_t>(rest, 34) != 0) throw Error(where, "is on another disk, one is allowed");
    Entry entry = {.name = text(rest.subspan(kEntryBytes, name_bytes)),
                   .flags = field<uint16_t>(rest, 8),
                   .method = field<uint16_t>(rest, 10),
                   .crc = field<uint32_t>(rest, 16),
                   .compressed_bytes = field<uint32_t>(rest, 20),
                   .bytes = field<uint32_t>(rest, 24),
                   .offset = field<uint32_t>(rest, 42)};
    widen(rest.subspan(kEntryBytes + name_bytes, extra_bytes),
          {&entry.bytes, &entry.compressed_bytes, &entry.offset}, where);
    if (entry.name.ends_with(".npy")) entries.push_back(entry);
    rest = rest.subspan(size);
  }
  if (!rest.empty()) throw Error(file, "its zip directory has more than the entries that it counts");
  return entries;
}

std::string method_name(uint16_t method) {
  switch (method) {
    case 9:
      return "deflate64";
    case 12:
      return "bzip2";
    case 14:
      return "LZMA";
    case 93:
      return "Zstandard";
    case 95:
      return "XZ";
    default:
      return "number " + std::to_string(method);
  }
}

/// The member's bytes as they are in the archive. Its local header must repeat what the directory says.
Bytes compressed_of(Bytes bytes, const Entry& entry, size_t directory_begin, const std::string& where) {
  if ((entry.flags & kEncrypted) != 0) throw Error(where, "is encrypted, only plain members are allowed");
  if ((entry.flags & ~kAllowedFlags) != 0) {
    throw Error(where, "zip flags " + std::to_string(entry.flags) + " found, allowed are " +
                           std::to_string(kAllowedFlags) + " and less of it");
  }
  if (entry.method != kStored && entry.method != kDeflated) {
    throw Error(where, "is compressed by " + method_name(entry.method) + ", allowed are stored and deflate");
  }
  if (entry.offset > directory_begin || directory_begin - entry.offset < kLocalBytes ||
      !begins(bytes.subspan(entry.offset), kLocal)) {
    throw Error(where, "its zip header is not where the directory says");
  }
  const Bytes header = bytes.subspan(entry.offset, directory_begin - entry.offset);
  const size_t name_bytes = field<uint16_t>(header, 26), extra_bytes = field<uint16_t>(header, 28);
  if (name_bytes + extra_bytes > header.size() - kLocalBytes) throw Error(where, "its zip header is cut off");
  const Bytes data = header.subspan(kLocalBytes + name_bytes + extra_bytes);
  uint64_t compressed_bytes = field<uint32_t>(header, 18), inflated_bytes = field<uint32_t>(header, 22);
  widen(header.subspan(kLocalBytes + name_bytes, extra_bytes), {&inflated_bytes, &compressed_bytes}, where);
  const bool sizes_agree = field<uint32_t>(header, 14) == entry.crc && inflated_bytes == entry.bytes &&
                           compressed_bytes == entry.compressed_bytes;
  if (text(header.subspan(kLocalBytes, name_bytes)) != entry.name ||
      field<uint16_t>(header, 6) != entry.flags || field<uint16_t>(header, 8) != entry.method ||
      ((entry.flags & kSizesFollow) == 0 && !sizes_agree)) {
    throw Error(where, "its zip header differs from its entry in the directory");
  }
  if (entry.compressed_bytes > data.size()) {
    throw Error(where, std::to_string(data.size()) + " bytes found, the directory promises " +
                           std::to_string(entry.compressed_bytes));
  }
  return data.first(entry.compressed_bytes);
}

std::shared_ptr<const std::byte[]> inflate_npy(Bytes compressed, uint64_t promised,
                                               const std::string& where) {
  if (!deflate_can_hold(compressed.size(), promised)) {
    throw Error(where, std::to_string(compressed.size()) + " compressed bytes cannot hold the " +
                           std::to_string(promised) + " that the directory promises");
  }
  // The header first: nothing is allocated, or inflated, beyond what the array itself promises.
  Inflater stream(compressed, Inflater::Format::raw, where);
  std::vector<std::byte> begin(std::min<uint64_t>(promised, 12 + kMaxNpyHeaderBytes));
  begin.resize(stream.read(begin));
  const size_t size = npy_file_bytes(begin, where);
  if (size != promised) {
    throw Error(where, "its header promises " + std::to_string(size) + " bytes, the directory " +
                           std::to_string(promised));
  }
  const auto inflated = std::make_shared_for_overwrite<std::byte[]>(size);
  std::copy_n(begin.begin(), begin.size(), inflated.get());
  const size_t found = begin.size() + stream.read({inflated.get() + begin.size(), size - begin.size()});
  if (found != size) {
    throw Error(where, "inflates to " + std::to_string(found) + " bytes, its header promises " +
                           std::to_string(size));
  }
  std::byte more;  // reading on, the stream has to end
  if (stream.read({&more, 1}) != 0) {
    throw Error(where,
                "inflates to more than the " + std::to_string(size) + " bytes that its header promises");
  }
  if (stream.left() != 0)
    throw Error(where, std::to_string(stream.left()) + " bytes follow its deflate stream");
  return inflated;
}

}  // namespace

Array parse_npz(Bytes bytes, const std::string& file, const std::optional<std::string>& name) {
  const Directory directory = find_directory(bytes, file);
  const std::vector<Entry> entries = entries_of(bytes, directory, file);
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name.substr(0, entry.name.size() - 4));
  const size_t i = find_member(names, name, file);
  const Entry& entry = entries[i];
  const std::string where = member_text(file, names[i]);

  const Bytes compressed = compressed_of(bytes, entry, directory.begin, where);
  std::shared_ptr<const std::byte[]> inflated;
  Bytes npy = compressed;
  if (entry.method == kDeflated) {
    inflated = inflate_npy(compressed, entry.bytes, where);
    npy = {inflated.get(), static_cast<size_t>(entry.bytes)};
  } else if (entry.bytes != compressed.size()) {
    throw Error(where, "is stored in " + std::to_string(compressed.size()) +
                           " bytes, the directory promises " + std::to_string(entry.bytes));
  }
  if (crc32_z(0, reinterpret_cast<const Bytef*>(npy.data()), npy.size()) != entry.crc) {
    throw Error(where, "its CRC-32 is not that of the directory: the data are corrupt");
  }
  Array array = parse_npy(npy, where);
  if (!array.owner) array.owner = inflated;
  return array;
}

Array read_npz(const std::string& path, const std::optional<std::string>& name) {
  const auto file = std::make_shared<const MappedFile>(path);
  Array array = parse_npz(file->bytes(), file->name(), name);
  if (!array.owner) array.owner = file;
  return array;
}

}  // namespace labelsmooth::io
