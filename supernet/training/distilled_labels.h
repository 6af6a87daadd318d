// A teacher's soft labels of a training set, and their file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <torch/types.h>

#include "supernet/data/batch.h"
#include "supernet/formats/provenance.h"

namespace ridgewalk {

inline constexpr int64_t kMostDistilledClasses = 32768;  // of I16

// The teacher's soft labels of `replicas` augmented copies of every training image. A copy is
// stored as its draw alone: image i of replica r is Draw{i, mix(mix(seed, r), i)} under the
// augmentation. The file is safetensors:
//   probabilities  F16 [replicas, images, k]
//   classes        I16 [replicas, images, k], the classes of the probabilities; absent where k is
//                  the number of classes. The rest of 1 is spread evenly over the other classes.
//   metadata       `distilled`: JSON of the fields below; `hash`: of that text and both tensors
struct DistilledLabels {
  std::string data;         // name of the data set
  int64_t images = 0;       // of its training split
  int64_t held_out = 0;     // training images held out for search validation
  uint64_t split_seed = 0;  // that load_dataset() drew them with
  uint64_t split_hash = 0;  // hash_of() the training split
  bool of_contents = true;  // false in old files, whose split_hash of image files is of names
  // How files became images, and so where boxes lie in them; 0 for a data set without files.
  int resolution = 0;
  double crop_fraction = 0;
  std::string augmentation;  // YAML
  uint64_t seed = 0;
  int64_t replicas = 0;
  int64_t number_of_classes = 0;
  std::string teacher, teacher_weights;
  uint64_t teacher_hash = 0;
  std::vector<LearnedImages> learned = {};  // by the teacher; empty in old files
  double teacher_top1 = 0;                  // on the test images
  // Of the teacher's softmax. Above 1 the student's has it too: classification_loss().
  double temperature = 1;

  torch::Tensor probabilities, classes;
  std::string path;   // of the file they were read from
  uint64_t hash = 0;  // of the file

  Draw draw(int64_t image, int64_t replica) const;
  // float [N, classes], each row a distribution.
  torch::Tensor targets(std::span<const Draw> draws, int64_t replica) const;
};

// Whether both are of the same teacher, images and options, the number of replicas aside.
bool have_same_source(const DistilledLabels& a, DistilledLabels b);

// Written beside and renamed. Throws Error.
void save_distilled(const std::string& path, const DistilledLabels& labels);
// Throws Error when the file is damaged or is not one of distilled labels.
DistilledLabels load_distilled(const std::string& path);

// Throws Error when the labels are of other training images than the data's, or of other crops, or
// were written before image files were told apart by their contents, or when their teacher has
// learned images that are held out.
void require_same_split(const DistilledLabels& labels, const Dataset& data);

// Of a tensor's bytes.
uint64_t hash_of(const torch::Tensor& tensor);

}  // namespace ridgewalk
