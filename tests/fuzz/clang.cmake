# Toolchain of the preset `fuzz`: the newest clang of Debian 12 and later that brings libFuzzer.
find_program(RIDGEWALK_CLANG NAMES clang++-19 clang++-16 REQUIRED
  DOC "clang with libFuzzer (Debian 12: clang-16 and libclang-rt-16-dev, Debian 13: clang-19 and libclang-rt-19-dev)")
set(CMAKE_CXX_COMPILER ${RIDGEWALK_CLANG})

# In C++20 clang takes the constexpr destructor of libstdc++ 12's std::vector at its word and wants
# the complete type where LibTorch 1.13 only declares it (c10::IValue). That of version 11 is not
# constexpr yet; both have one binary interface.
file(GLOB older_libstdcxx /usr/lib/gcc/*/11)
if(older_libstdcxx AND RIDGEWALK_CLANG MATCHES "-16$")
  set(CMAKE_CXX_FLAGS_INIT "--gcc-install-dir=${older_libstdcxx}")
endif()
# The project's warning options are GCC's.
string(APPEND CMAKE_CXX_FLAGS_INIT " -Wno-unknown-warning-option")

# LibTorch's threads need nothing of the compiler; FindOpenMP would look for a package more (libomp).
set(OpenMP_CXX_FLAGS " " CACHE STRING "")
set(OpenMP_CXX_LIB_NAMES "" CACHE STRING "")
