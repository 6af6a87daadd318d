#include "supernet/formats/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <stdexcept>
#include <string_view>

#include "space/error.h"
#include "space/file.h"
#include "space/json.h"

namespace ridgewalk {
namespace {

using nlohmann::json;

constexpr uint64_t kLargestHeader = uint64_t{100} << 20;  // the format's own limit

// Written by the first name of their type.
constexpr std::array<std::pair<torch::ScalarType, const char*>, 13> kTypes = {{
    {torch::kFloat, "F32"},
    {torch::kHalf, "F16"},
    {torch::kBFloat16, "BF16"},
    {torch::kDouble, "F64"},
    {torch::kByte, "U8"},
    {torch::kChar, "I8"},
    {torch::kShort, "I16"},
    {torch::kInt, "I32"},
    {torch::kLong, "I64"},
    {torch::kBool, "BOOL"},
    {torch::kShort, "U16"},
    {torch::kInt, "U32"},
    {torch::kLong, "U64"},
}};

const char* type_name(torch::ScalarType type) {
  for (const auto& [known, name] : kTypes) {
    if (known == type) return name;
  }
  throw std::invalid_argument("safetensors have no such type of tensor");
}

// Length of the header as 8 bytes, least significant first.
std::string little_endian(uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[size_t(i)] = char(value >> (8 * i) & 0xff);
  return bytes;
}

// A whole file in memory, copied on write.
struct Mapping {
  explicit Mapping(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status{};
    const bool is_file =
        descriptor >= 0 && ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    void* start = nullptr;
    if (is_file && status.st_size > 0) {
      size = uint64_t(status.st_size);
      start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
    }
    if (descriptor >= 0) ::close(descriptor);
    if (!is_file || start == MAP_FAILED) {
      throw Error(path, 0, "cannot be read; give a safetensors file that exists");
    }
    data = static_cast<char*>(start);
  }
  ~Mapping() {
    if (data != nullptr) ::munmap(data, size);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* data = nullptr;
  uint64_t size = 0;
};

struct Entry {
  std::string name;
  torch::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

Entry parse_entry(const std::string& path, const std::string& name, const json& value) {
  const auto fail = [&](const std::string& what) {
    throw Error(path, 0, "tensor '" + name + "' " + what + "; the file is damaged, write it again");
  };
  Entry entry{.name = name, .type = torch::kFloat, .shape = {}, .begin = 0, .end = 0};
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets")) {
    fail("lacks dtype, shape or data_offsets");
  }
  const auto type = std::find_if(kTypes.begin(), kTypes.end(),
                                 [&](const auto& known) { return value["dtype"] == known.second; });
  if (type == kTypes.end()) {
    std::string known;
    for (const auto& [_, known_name] : kTypes)
      known += (known.empty() ? "" : ", ") + std::string(known_name);
    throw Error(path, 0, "tensor '" + name + "' is none of " + known + "; convert it");
  }
  entry.type = type->first;
  const json& offsets = value["data_offsets"];
  const auto is_size = [](const json& number) { return number.is_number_unsigned(); };
  if (!offsets.is_array() || offsets.size() != 2 || !is_size(offsets[0]) || !is_size(offsets[1])) {
    fail("has no pair of offsets");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (!value["shape"].is_array() || value["shape"].size() > 8) fail("has no shape");
  uint64_t bytes = c10::elementSize(entry.type);
  for (const json& length : value["shape"]) {
    if (!is_size(length)) fail("has no shape");
    const auto size = length.get<uint64_t>();
    if (size > (uint64_t{1} << 40) || (size > 0 && bytes > (uint64_t{1} << 50) / size)) {
      fail("is larger than any file");
    }
    bytes *= size;
    entry.shape.push_back(int64_t(size));
  }
  if (entry.begin > entry.end || entry.end - entry.begin != bytes) fail("does not fill its range");
  return entry;
}

// What else the file may be, with the remedy; empty if unknown.
std::string what_else(const char* data, uint64_t size) {
  const std::string_view bytes(data, size);
  // A zip archive, or a pickle of protocol 2 and later.
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("\x80\x02")) {
    return ", but looks like a PyTorch pickle; convert it with safetensors.torch.save_file()";
  }
  if (bytes.starts_with("version https://git-lfs")) {
    return ", but a Git LFS pointer to one; fetch the file itself (git lfs pull)";
  }
  return "";
}

// Refuses a name that comes twice, which a JSON parser would silently merge.
json parse_header(const std::string& path, const std::string& text) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > 8) throw Error(path, 0, "header is nested too deeply");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.empty()) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(name).second) twice = name;
    }
    return true;
  };
  try {
    json header = json::parse(text, watch);
    if (!twice.empty()) throw Error(path, 0, "names '" + twice + "' twice");
    if (!header.is_object())
      throw Error(path, 0, "header is not an object; not a safetensors file");
    return header;
  } catch (const json::exception&) {
    throw Error(path, 0, "header is damaged; not a safetensors file");
  }
}

}  // namespace

const torch::Tensor& TensorFile::at(const std::string& name) const {
  for (const auto& [known, tensor] : tensors) {
    if (known == name) return tensor;
  }
  throw std::out_of_range("no tensor is named " + name);
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  nlohmann::ordered_json header;
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t offset = 0;
  std::vector<torch::Tensor> kept;
  for (const auto& [name, tensor] : file.tensors) {
    kept.push_back(tensor.detach().cpu().contiguous());
    const uint64_t end = offset + kept.back().nbytes();
    header[name] = {{"dtype", type_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  FileWriter out(path);
  const std::string length = little_endian(text.size());
  out.write(length.data(), length.size());
  out.write(text.data(), text.size());
  for (const torch::Tensor& tensor : kept) out.write(tensor.data_ptr(), tensor.nbytes());
  out.commit();
}

TensorFile read_safetensors(const std::string& path) {
  const auto map = std::make_shared<const Mapping>(path);
  const uint64_t size = map->size;
  if (size < 8) throw Error(path, 0, "is too short to be safetensors");
  uint64_t header_size = 0;
  for (int i = 7; i >= 0; --i) header_size = header_size << 8 | uint8_t(map->data[i]);
  if (header_size > kLargestHeader || header_size > size - 8) {
    throw Error(path, 0, "is cut off or not a safetensors file" + what_else(map->data, size));
  }
  const std::string text(map->data + 8, header_size);
  const json header = parse_header(path, text);

  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(path, name, value));
      continue;
    }
    if (!value.is_object()) throw Error(path, 0, "metadata is not an object");
    for (const auto& [key, item] : value.items()) {
      if (!item.is_string()) throw Error(path, 0, "metadata '" + key + "' is not a string");
      file.metadata[key] = item;
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t offset = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != offset) {
      throw Error(path, 0,
                  "tensor '" + entry.name + "' " +
                      (entry.begin < offset ? "overlaps another" : "leaves a gap before it"));
    }
    offset = entry.end;
  }
  if (offset != size - 8 - header_size) {
    const bool is_short = offset > size - 8 - header_size;
    throw Error(path, 0,
                std::string(is_short ? "is cut off" : "continues after its tensors") +
                    ": they need " + std::to_string(offset) + " bytes, it has " +
                    std::to_string(size - 8 - header_size));
  }
  for (const Entry& entry : entries) {
    char* data = map->data + 8 + header_size + entry.begin;
    torch::Tensor tensor = torch::from_blob(data, entry.shape, [map](void*) {}, entry.type);
    const bool is_aligned = reinterpret_cast<uintptr_t>(data) % c10::elementSize(entry.type) == 0;
    if (!is_aligned && entry.end > entry.begin) {
      torch::Tensor aligned = torch::empty(entry.shape, entry.type);
      std::memcpy(aligned.data_ptr(), data, entry.end - entry.begin);
      tensor = aligned;
    }
    file.tensors.emplace_back(entry.name, std::move(tensor));
  }
  return file;
}

}  // namespace ridgewalk
