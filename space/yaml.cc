#include "space/yaml.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace ridgewalk {

YamlSource parse_yaml(const std::string& text, const std::string& file) {
  try {
    // Refuses to recurse deeper than 500 by itself.
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
  const std::string beside = path + ".partial";
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

std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace ridgewalk
