// A network as a program of oneDNN's. Only for the .cc files of inference, as program.h is.
#pragma once

#include <vector>

#include "supernet/inference/module.h"
#include "supernet/inference/program.h"

namespace ridgewalk {

// Turns the ops of a network whose norms are folded into steps, in the order of the graph;
// `program` must be empty. What has no scales is computed in `precision`. Throws dnnl::error for
// what oneDNN cannot run on this machine.
void compile(const QuantizedGraph& quantized, const ParameterOf& parameter, int batch,
             DataType precision, Program& program, std::vector<Inference::Step>& steps);

}  // namespace ridgewalk
