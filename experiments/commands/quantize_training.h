// The part of `quantize` that trains.
#pragma once

#include <string>

#include "experiments/commands/command_line.h"
#include "experiments/run/context.h"
#include "supernet/quantization/post_training.h"

namespace ridgewalk {

// --config, --epochs and others of --method qat.
void add_qat_options(CommandLine& line);
// Throws Error naming the first of them that is given though the method is another.
void refuse_qat_options(const CommandLine& line);
// Throws Error for what train_quantized() would refuse of them, before anything is computed.
void check_qat_options(const CommandLine& line);

// A network before training that knows its quantisation.
struct QatStart {
  const Architecture& architecture;
  const std::string& weights;  // file of the network
  const PostTraining& quantization;
  const QuantizedNetwork& quantized;  // after training: what the result is held against
  RewriteOptions rewrite = {};
};

struct QatResult {
  QuantizedNetwork network;
  Json json;         // how it was trained, and both accuracies
  std::string text;  // lines: both accuracies, and why QAT is below PTQ where it is
};

// Trains in a run in --out, new or continued with --resume.
QatResult train_quantized(const CommandLine& line, const QatStart& start, const Dataset& data,
                          const Session& session);

}  // namespace ridgewalk
