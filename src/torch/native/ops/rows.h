// Rows of a tensor as floats: fp32 in place, bf16 through a buffer.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

class RowReader {
 public:
  RowReader(const at::Tensor& tensor, int64_t width)
      : floats_(tensor.scalar_type() == at::kFloat ? tensor.const_data_ptr<float>() : nullptr),
        halves_(floats_ ? nullptr : tensor.const_data_ptr<at::BFloat16>()),
        width_(width),
        buffer_(floats_ ? 0 : width) {}

  const float* read(int64_t row) {
    if (floats_) return floats_ + row * width_;
    const at::BFloat16* values = halves_ + row * width_;
    for (int64_t i = 0; i < width_; ++i) buffer_[i] = static_cast<float>(values[i]);
    return buffer_.data();
  }

 private:
  const float* floats_;
  const at::BFloat16* halves_;
  int64_t width_;
  std::vector<float> buffer_;
};

class RowWriter {
 public:
  RowWriter(const at::Tensor& tensor, int64_t width)
      : floats_(tensor.scalar_type() == at::kFloat ? tensor.data_ptr<float>() : nullptr),
        halves_(floats_ ? nullptr : tensor.data_ptr<at::BFloat16>()),
        width_(width),
        buffer_(floats_ ? 0 : width) {}

  // Where to write a row; `done` puts it where it belongs.
  float* begin(int64_t row) { return floats_ ? floats_ + row * width_ : buffer_.data(); }

  void done(int64_t row) {
    if (floats_) return;
    at::BFloat16* values = halves_ + row * width_;
    for (int64_t i = 0; i < width_; ++i) values[i] = buffer_[i];
  }

 private:
  float* floats_;
  at::BFloat16* halves_;
  int64_t width_;
  std::vector<float> buffer_;
};

// Rows that one thread takes at least, so that a call is worth it.
inline int64_t grain(int64_t width) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width)); }
