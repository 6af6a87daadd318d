#include "space/yaml.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace ridgewalk {

YamlSource parse_yaml(const std::string& text, const std::string& file) {
  // yaml-cpp recurses on nesting: refuse what no file of ours needs before it can exhaust the stack.
  int depth = 0;
  for (char c : text) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (depth > 64) throw Error(file, 0, "brackets nested deeper than 64");
  }
  size_t line_start = 0;
  while (line_start < text.size()) {
    const size_t end = std::min(text.find('\n', line_start), text.size());
    const size_t indent = text.find_first_not_of(" -?:", line_start);
    if (std::min(indent, end) - line_start > 256) throw Error(file, 0, "indented too deeply");
    line_start = end + 1;
  }
  try {
    return {YAML::Load(text), file};
  } catch (const YAML::Exception& error) {
    throw Error(file, error.mark.line + 1, "not YAML: " + error.msg);
  }
}

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (std::filesystem::is_directory(path) || !stream || !(text << stream.rdbuf())) {
    throw Error(path, 0, "cannot be read; give the name of a file that exists");
  }
  return text.str();
}

void write_file(const std::string& path, std::string_view text) {
  const std::string beside = path + ".partial-" + std::to_string(getpid());
  {
    std::ofstream stream(beside, std::ios::binary);
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.flush();
    if (!stream) {
      const std::string reason = std::strerror(errno);
      std::error_code ignored;
      std::filesystem::remove(beside, ignored);
      throw Error(path, 0, "cannot be written (" + reason + "); choose a folder you may write to");
    }
  }
  std::filesystem::rename(beside, path);
}

}  // namespace ridgewalk
