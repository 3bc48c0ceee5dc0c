// torch.save's files of named tensors. torch's C++ unpickler knows tensors, numbers, texts and containers: a file that
// names anything else is refused, and nothing in it is ever called. The file is mapped: a tensor is read when it is used.
#include "abi.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <unordered_map>

#include <ATen/EmptyTensor.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/pickler.h>
#include <torch/csrc/jit/serialization/unpickler.h>

namespace {

struct Mapping {
  explicit Mapping(const char* path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    TORCH_CHECK(file >= 0, "cannot open: ", strerror(errno));
    struct stat status {};
    fstat(file, &status);
    size = static_cast<size_t>(status.st_size);
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    close(file);
    TORCH_CHECK(data != MAP_FAILED, "cannot map: ", strerror(errno));
  }
  ~Mapping() { munmap(data, size); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* data = nullptr;
  size_t size = 0;
};

struct NamedTensors {
  std::vector<std::string> names;
  std::vector<at::Tensor> tensors;
};

// The tensors of an archive, over its mapped bytes.
class Archive {
 public:
  explicit Archive(const char* path) : mapping_(std::make_shared<Mapping>(path)), reader_(std::string(path)) {}

  NamedTensors read() {
    auto [pickled, size] = reader_.getRecord("data.pkl");
    size_t position = 0;
    auto read = [&](char* out, size_t wanted) {
      size_t given = std::min(wanted, size - position);
      memcpy(out, static_cast<const char*>(pickled.get()) + position, given);
      position += given;
      return given;
    };
    torch::jit::Unpickler unpickler(read, nullptr, nullptr, [this](const std::string& key) { return record(key); },
                                    at::Device(at::kCPU));
    NamedTensors found;
    collect(parse(unpickler), "", found);
    return found;
  }

 private:
  // torch's C++ unpickler takes Python's OrderedDict for nothing, and stumbles over what is put into it.
  static c10::IValue parse(torch::jit::Unpickler& unpickler) {
    try {
      return unpickler.parse_ivalue();
    } catch (const c10::Error& error) {
      if (std::string(error.what()).find("isGenericDict()") == std::string::npos) throw;
      throw std::runtime_error(
          "its tensors are in an OrderedDict, which is not read yet; make it a dict with Python: "
          "torch.save(dict(torch.load(FILE)), FILE)");
    }
  }

  at::DataPtr record(const std::string& key) {
    auto name = "data/" + key;
    size_t offset = reader_.getRecordOffset(name), size = reader_.getRecordSize(name);
    TORCH_CHECK(offset <= mapping_->size && size <= mapping_->size - offset, "the file is cut off in ", name);
    void* data = static_cast<char*>(mapping_->data) + offset;
    sizes_[data] = size;
    auto* keep = new std::shared_ptr<Mapping>(mapping_);
    return {data, keep, [](void* kept) { delete static_cast<std::shared_ptr<Mapping>*>(kept); }, at::kCPU};
  }

  // Keeps the tensors of a dictionary, and those of dictionaries within it under names joined by dots.
  void collect(const c10::IValue& value, const std::string& name, NamedTensors& out) {
    if (value.isTensor()) {
      check(value.toTensor(), name);
      out.names.push_back(name);
      out.tensors.push_back(value.toTensor());
    } else if (value.isGenericDict()) {
      for (const auto& entry : value.toGenericDict()) {
        if (!entry.key().isString()) continue;
        auto key = entry.key().toStringRef();
        collect(entry.value(), name.empty() ? key : name + "." + key, out);
      }
    }
  }

  // The pickle says how large a tensor is; its record must be as large.
  void check(const at::Tensor& tensor, const std::string& name) {
    auto needed = at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(), tensor.itemsize(),
                                                   static_cast<size_t>(tensor.storage_offset()));
    auto record = sizes_.find(tensor.storage().data_ptr().get());
    TORCH_CHECK(tensor.numel() == 0 || (record != sizes_.end() && needed <= record->second), name,
                " is larger than what is stored of it");
  }

  std::shared_ptr<Mapping> mapping_;
  caffe2::serialize::PyTorchStreamReader reader_;
  std::unordered_map<const void*, size_t> sizes_;
};

}  // namespace

extern "C" {

// Reads a file of torch.save (the zip format of torch 1.6 and later).
char* lt_pickle_read(const char* path, NamedTensors** out) {
  return guarded([&] {
    *out = new NamedTensors(Archive(path).read());
  });
}

size_t lt_pickle_len(const NamedTensors* found) { return found->names.size(); }

// A name that lives as long as `found`.
const char* lt_pickle_name(const NamedTensors* found, size_t index) { return found->names[index].c_str(); }

// Takes the tensor out, so that its memory can go as soon as it was used.
char* lt_pickle_take(NamedTensors* found, size_t index, at::Tensor** out) {
  return guarded([&] { *out = new at::Tensor(std::move(found->tensors.at(index))); });
}

void lt_pickle_free(NamedTensors* found) { delete found; }

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
