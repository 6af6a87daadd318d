// Finds the four files of MNIST among the layouts that archives and tools leave.
#pragma once

#include <string>

namespace ridgewalk {

enum class IdxPart { kTrain, kTest };
enum class IdxContent { kImages, kLabels };

// The file of `part` and `content` in a folder. Its name is train-images-idx3-ubyte,
// t10k-labels-idx1-ubyte and so on in any case, with '.' for any '-' (Kaggle's
// train-images.idx3-ubyte), with `test` for `t10k`, after a prefix (emnist-letters-train-...),
// plain or .gz. It is looked for in the folder, in its `raw`, then in its subfolders and their
// `raw` (torchvision's MNIST/raw; archives that put each file into a folder of the same name). Of a
// plain and a gzipped file, which has a checksum, the gzipped one is taken. Throws Error when there
// is none, or several of different names.
std::string find_idx_file(const std::string& folder, IdxPart part, IdxContent content);

}  // namespace ridgewalk
