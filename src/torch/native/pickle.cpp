// A dictionary of tensors as torch.save writes it, which torch has only in Python and, tensor after tensor, in these
// parts.
#include "abi.h"

#include <fstream>
#include <string>

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/pickler.h>

extern "C" {

// Writes a dictionary of tensors that torch.load reads, one tensor after another.
char* lt_pickle_write(const char* path, const char* const* names, TensorList tensors, size_t count) {
  return guarded([&] {
    c10::Dict<std::string, at::Tensor> dict;
    for (size_t i = 0; i < count; ++i) dict.insert(names[i], *tensors[i]);
    std::string pickled;
    torch::jit::Pickler pickler([&](const char* bytes, size_t size) { pickled.append(bytes, size); }, nullptr, nullptr,
                                nullptr, nullptr, /*tag_aggregates=*/false);
    pickler.protocol();
    pickler.pushIValue(dict);
    pickler.stop();
    std::ofstream file(path, std::ios::binary);
    caffe2::serialize::PyTorchStreamWriter writer([&](const void* bytes, size_t size) {
      file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
      return file ? size : 0;
    });
    writer.writeRecord("data.pkl", pickled.data(), pickled.size());
    size_t number = 0;
    for (const auto& tensor : pickler.tensorData()) {
      auto data = torch::jit::getWriteableTensorData(tensor);
      writer.writeRecord("data/" + std::to_string(number++), data.data(), data.sizeInBytes());
    }
    writer.writeEndOfFile();
    file.close();
    TORCH_CHECK(file.good(), "the disk is full or not writable");
  });
}

}  // extern "C"
