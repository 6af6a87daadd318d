// The versions of the libraries that this process has loaded, which the headers that it was
// compiled with need not tell.
#pragma once

#include <string>

namespace ridgewalk {

// Such as "1.13.1".
std::string libtorch_version();

// Of the oneDNN that LibTorch calls, such as "2.6.3"; "none" where it was built without.
std::string onednn_version();
int onednn_major();  // 0 where there is none

}  // namespace ridgewalk
