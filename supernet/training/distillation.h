// Distillation: a student learns the soft labels of a teacher, stored once for all students
// (offline; MobileNetV4, section 8) or computed for each batch (online).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "space/architecture.h"
#include "supernet/formats/weights.h"
#include "supernet/training/evaluate.h"

namespace ridgewalk {

struct TeacherOptions {
  Architecture architecture;  // its channels and classes are taken from the data
  std::string weights;        // as load_network() reads them
  double weight = 1;          // online: of the soft labels; 1 - weight of the hard ones
};

// A trained network in evaluation mode. It sees images normalised as in its own training, where its
// weights say how that was.
class Teacher {
 public:
  // Throws Error when the weights are not the architecture's, or were trained on other classes or
  // on images that are held out of `data`.
  Teacher(const TeacherOptions& options, const Dataset& data, const Compute& compute);

  // softmax(logits / temperature) of a batch's images: float [N, classes] on the teacher's device.
  torch::Tensor soft_labels(const torch::Tensor& images, double temperature = 1) const;
  Accuracy evaluate(const Dataset& data, const ImageSet& set) const;
  const std::string& name() const { return name_; }
  const std::string& weights() const { return weights_; }
  const Compute& compute() const { return compute_; }
  // By its weights, where they say so.
  std::vector<LearnedImages> learned() const {
    return network_.provenance ? network_.provenance->learned : std::vector<LearnedImages>{};
  }
  // Of all that its labels depend on beside the images: values, resolution, normalisation,
  // precision, threads.
  uint64_t hash() const;

 private:
  std::string name_, weights_;
  Compute compute_;
  Network network_;
  Executor executor_;
  // From the data's normalisation to the teacher's: [1, C, 1, 1]; undefined where they are the
  // same.
  torch::Tensor scale_, shift_;
};

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

struct DistillOptions {
  Augmentation augmentation = {};
  std::string augmentation_text = {};  // the same as YAML
  uint64_t seed = 0;
  uint64_t split_seed = 0;  // that the data set was loaded with
  int64_t replicas = 1;
  int64_t top_k = 0;  // probabilities kept of an image; 0: all of at most 32 classes, else 16
  double temperature = 1;
};

// Bytes that the labels of the data's training images take in memory, all replicas together.
double label_bytes(const Dataset& data, const DistillOptions& options);

// Called while labels are made; an exception from them ends the work.
struct DistillProgress {
  std::function<void(int64_t)> images_done = [](int64_t) {};
  // Labels of the replicas so far, after each but the last.
  std::function<void(const DistilledLabels&)> replica_done = [](const DistilledLabels&) {};
};

// Continues after the replicas of `so_far`, which must be of the same teacher, images and options.
// Throws Error if they are not, and for options out of range.
DistilledLabels distill(const Teacher& teacher, const Dataset& data, const DistillOptions& options,
                        int64_t batch_size, const DistillProgress& progress = {},
                        const DistilledLabels* so_far = nullptr);

// Written beside and renamed. Throws Error.
void save_distilled(const std::string& path, const DistilledLabels& labels);
// Throws Error when the file is damaged or is not one of distilled labels.
DistilledLabels load_distilled(const std::string& path);

// Whose soft labels a student learns: those of a file, those of a teacher that runs beside it, or
// none.
struct Distillation {
  std::shared_ptr<const DistilledLabels> labels = {};
  std::optional<TeacherOptions> teacher = {};
  explicit operator bool() const { return labels != nullptr || teacher; }
  std::string teacher_name() const { return labels ? labels->teacher : teacher->architecture.name; }
};

// Throws Error when the labels are of other training images than the data's, or of other crops, or
// were written before image files were told apart by their contents, or when their teacher has
// learned images that are held out.
void require_same_split(const DistilledLabels& labels, const Dataset& data);

}  // namespace ridgewalk
