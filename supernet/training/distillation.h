// Distillation: a student learns the soft labels of a teacher, stored once for all students
// (offline; MobileNetV4, section 8) or computed for each batch (online).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "space/architecture.h"
#include "supernet/formats/weights.h"
#include "supernet/training/distilled_labels.h"
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

// Whose soft labels a student learns: those of a file, those of a teacher that runs beside it, or
// none.
struct Distillation {
  std::shared_ptr<const DistilledLabels> labels = {};
  std::optional<TeacherOptions> teacher = {};
  explicit operator bool() const { return labels != nullptr || teacher; }
  std::string teacher_name() const { return labels ? labels->teacher : teacher->architecture.name; }
};

}  // namespace ridgewalk
