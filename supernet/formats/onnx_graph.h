// A graph as ONNX nodes. Who writes a file says how parameters and values are stored. Not
// installed: other headers know nothing of ONNX's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <onnx/defs/attr_proto_util.h>
#include <onnx/onnx_pb.h>

#include "supernet/formats/onnx.h"

namespace ridgewalk {

class OnnxGraph {
 public:
  OnnxGraph(const Graph& graph, const OnnxOptions& options) : graph_(graph), options_(options) {}
  virtual ~OnnxGraph() = default;

  // Writes the model after ONNX's checker and its strict shape inference have checked it. Once.
  void write(const std::string& path, const std::optional<Provenance>& provenance);

 protected:
  using Names = std::vector<std::string>;

  // Provides a parameter of ops[op] under its name.
  virtual void add_parameter(int op, const Parameter& parameter) = 0;
  // Stores what ops[op] gives, or a rearrangement of it that `value` is; returns what readers read.
  virtual std::string stored(int op, const std::string& value);
  // Whether what ops[op] gives is stored as integers.
  virtual bool is_integer(int op) const;

  // These return the name of what they add.
  onnx::NodeProto& add(const char* type, const std::string& output, const Names& inputs);
  std::string node(const char* type, const std::string& output, const Names& inputs);
  std::string initializer(const std::string& name, const torch::Tensor& tensor);
  template <class T>
  static void attribute(onnx::NodeProto& proto, const char* name, T value) {
    *proto.add_attribute() = onnx::MakeAttribute(name, value);
  }

 private:
  void add_nodes();
  void describe(onnx::ValueInfoProto& value, const std::string& name,
                const std::vector<int>& sizes) const;
  void output(const std::string& name, const std::vector<int>& sizes);

  std::string number(const std::string& name, double value);
  std::string constants(const std::string& name, const std::vector<float>& values);
  std::string reshape(const std::string& output, const std::string& x,
                      const std::vector<int64_t>& shape);
  std::string transpose(const std::string& output, const std::string& x,
                        const std::vector<int64_t>& order);

  std::string add_op(int index);
  std::string convolution(const Op& op, const std::string& x);
  std::string linear(const Op& op, const std::string& x);
  std::string norm(const Op& op, const std::string& x);
  std::string activation(const Op& op, const std::string& x);
  std::string hard_sigmoid(const std::string& output, const std::string& x);
  std::string upsample(const Op& op, const std::string& x);
  std::string attention_scores(const Op& op);
  std::string attention_mix(int index);

  const Graph& graph_;
  const OnnxOptions& options_;
  onnx::GraphProto proto_;
  Names names_;  // of each op's output
};

}  // namespace ridgewalk
