#include "supernet/inference/module.h"

#ifdef RIDGEWALK_ONEDNN_BUILT
#include <dlfcn.h>

#include "space/error.h"
#endif

namespace ridgewalk {

#ifdef RIDGEWALK_ONEDNN_BUILT

namespace {

// Both oneDNNs export some of their internals under the same names, such as the functions that fill
// the tables of matrix-product kernels. In a program that links both, one library fills the other's
// tables, and dnnl_sgemm() is "unimplemented". With RTLD_DEEPBIND the module and its oneDNN see
// their own first; with RTLD_LOCAL LibTorch does not see them at all. A test looks at what is bound
// to what (tests/supernet/inference/bindings.cmake).
const OneDnn& load() {
  void* module = nullptr;
  for (const char* path : {RIDGEWALK_ONEDNN_BUILT, RIDGEWALK_ONEDNN_INSTALLED}) {
    if (!module) module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  }
  void* function = module ? dlsym(module, "ridgewalk_one_dnn") : nullptr;
  if (!function) {
    throw Error("inference cannot be loaded (" + std::string(dlerror()) +
                "); build or install ridgewalk again");
  }
  return *reinterpret_cast<decltype(&ridgewalk_one_dnn)>(function)();
}

}  // namespace

const OneDnn& one_dnn() {
  static const OneDnn& loaded = load();
  return loaded;
}

#else

const OneDnn& one_dnn() { return *ridgewalk_one_dnn(); }

#endif

}  // namespace ridgewalk
