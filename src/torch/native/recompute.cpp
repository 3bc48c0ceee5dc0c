// Activation checkpointing (Chen et al. 2016): a function whose intermediate results are not kept. Backward calls it again,
// with the generators as they were if it draws from them, and differentiates that.
#include "abi.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <memory>
#include <optional>

namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

// A function of ours: fills `outputs` with `output_count` new tensors made of the inputs, or returns an error message.
using Call = char* (*)(void* function, TensorList inputs, size_t input_count, at::Tensor** outputs);
using Drop = void (*)(void* function);

struct Function {
  void* function;
  Call call;
  Drop drop;
  size_t output_count;

  variable_list operator()(const variable_list& inputs) const {
    std::vector<at::Tensor*> in, out(output_count, nullptr);
    in.reserve(inputs.size());
    for (const auto& input : inputs) in.push_back(const_cast<at::Tensor*>(&input));
    char* message = call(function, in.data(), in.size(), out.data());
    variable_list outputs;
    for (auto* tensor : out) {
      if (tensor) outputs.push_back(*tensor);
      delete tensor;
    }
    if (message) {
      const std::string text = message;
      free(message);
      throw std::runtime_error(text);
    }
    return outputs;
  }
};

at::Generator generator_of(const at::Tensor& tensor) { return at::globalContext().defaultGenerator(tensor.device()); }

at::Tensor state_of(at::Generator generator) {
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void set_state(at::Generator generator, const at::Tensor& state) {
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

// Puts the generator back as it was before, at the end of its life.
class OtherState {
 public:
  OtherState(const at::Generator& generator, const at::Tensor& state) : generator_(generator), own_(state_of(generator)) {
    set_state(generator_, state);
  }
  ~OtherState() { set_state(generator_, own_); }
  OtherState(const OtherState&) = delete;
  OtherState& operator=(const OtherState&) = delete;

 private:
  at::Generator generator_;
  at::Tensor own_;
};

// Its edges lead to the inputs and to the weights that the function reads besides.
struct Recompute : torch::autograd::Node {
  std::shared_ptr<Function> function;
  std::vector<SavedVariable> inputs;
  variable_list weights;
  at::Tensor random_state;  // undefined where the function draws no numbers

  ~Recompute() override { release(); }

  variable_list apply(variable_list&& grads) override {
    variable_list detached, wanted;
    for (auto& input : inputs) {
      const auto original = input.unpack();
      auto copy = original.detach();
      copy.set_requires_grad(original.requires_grad());
      detached.push_back(copy);
    }
    std::optional<OtherState> then;
    if (random_state.defined()) then.emplace(generator_of(detached.front()), random_state);
    const at::AutoGradMode with_gradients(true);
    const auto outputs = (*function)(detached);
    for (const auto& input : detached) {
      if (input.requires_grad()) wanted.push_back(input);
    }
    for (const auto& weight : weights) {
      if (weight.requires_grad()) wanted.push_back(weight);
    }
    variable_list of, with;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!grads[i].defined() || !outputs[i].requires_grad()) continue;
      of.push_back(outputs[i]);
      with.push_back(grads[i]);
    }
    const auto found = torch::autograd::grad(of, wanted, with, /*retain_graph=*/false, /*create_graph=*/false,
                                             /*allow_unused=*/true);
    variable_list out;
    size_t next = 0;
    for (const auto& input : detached) out.push_back(input.requires_grad() ? found[next++] : at::Tensor());
    for (const auto& weight : weights) out.push_back(weight.requires_grad() ? found[next++] : at::Tensor());
    return out;
  }

  void release_variables() override { release(); }

 private:
  void release() {
    inputs.clear();
    weights.clear();
    function.reset();
  }
};

}  // namespace

extern "C" {

// The outputs of `call(function, inputs)`. Where gradients are wanted, of `inputs` or of the `weights` that the function
// reads, only the inputs are kept for them. `drop(function)` is called once, when nobody needs it any more. The generator's
// state is asked for only if the function `draws` from it: a GPU's does not tell while a graph is recorded.
char* lt_recompute(void* function, Call call, Drop drop, TensorList inputs, size_t input_count, TensorList weights,
                   size_t weight_count, at::Tensor** outputs, size_t output_count, bool draws) {
  const auto owned = std::shared_ptr<Function>(new Function{function, call, drop, output_count}, [](Function* owned) {
    owned->drop(owned->function);
    delete owned;
  });
  return guarded([&] {
    const auto in = to_vector(inputs, input_count), read = to_vector(weights, weight_count);
    variable_list edges = in;
    edges.insert(edges.end(), read.begin(), read.end());
    const bool wanted = torch::autograd::compute_requires_grad(at::TensorList(edges));
    const auto random_state = draws ? state_of(generator_of(in.front())) : at::Tensor();
    variable_list out;
    {
      const at::AutoGradMode without(false);
      out = (*owned)(in);
    }
    if (wanted) {
      auto node = std::shared_ptr<Recompute>(new Recompute(), torch::autograd::deleteNode);
      node->set_next_edges(torch::autograd::collect_next_edges(at::TensorList(edges)));
      node->function = owned;
      node->weights = read;
      node->random_state = random_state;
      for (const auto& input : in) node->inputs.emplace_back(input, /*is_output=*/false);
      for (auto& output : out) torch::autograd::set_history(output, node);
    }
    for (size_t i = 0; i < output_count; ++i) outputs[i] = new at::Tensor(out.at(i));
  });
}

}  // extern "C"
