// What each kernel takes: one structure, by value. The same file is read by NVRTC, by those who launch, and by the
// emulation that the tests run the kernels in, so that the three cannot differ.
//
// Rows are contiguous, of fp32 or bf16 (the kernel's name says which: add_rms_norm_f32, add_rms_norm_bf16). `packed`:
// every row begins at a multiple of 16 bytes and is a whole number of them, so that 16 bytes are moved at a time.
#pragma once

namespace kernels {

constexpr int kWarp = 32;

// h = x + branch, y = weight h / √(mean(h²) + eps); a block for each row.
struct AddRmsNorm {
  static constexpr const char* kName = "add_rms_norm";
  const void* x;        // [rows, width]
  const void* branch;   // the same, or null: h is x
  const float* weight;  // [width]
  void* h;              // the same; not written without a branch
  void* y;              // the same
  float* factors;       // [rows]: 1/√(mean(h²) + eps)
  float eps;
  int width;
  bool packed;
};

// dh, and each block's part of dweight; blocks take rows in turn. Shared memory: a float for each column, rounded up to
// whole steps of the block.
struct AddRmsNormBackward {
  static constexpr const char* kName = "add_rms_norm_backward";
  const void* h;         // [rows, width]
  const void* dy;        // the same
  const void* other;     // the same, or null: what else comes back to h
  const float* weight;   // [width]
  const float* factors;  // [rows]
  void* dh;              // [rows, width]
  float* dweights;       // [blocks, width]
  long long rows;
  int width;
  bool packed;
};

// Turns components j and j + half of the first heads of each row, in place; a block for each row.
struct Rotate {
  static constexpr const char* kName = "rotate";
  void* rows;        // [rows, width]
  const float* cos;  // [tables, half]; row t takes row t modulo `tables`
  const float* sin;
  long long tables;
  int width, heads, half;
  float direction;  // 1, or -1 for backward
  bool packed;
};

// silu(gate) · value; a block for each row.
struct SwiGlu {
  static constexpr const char* kName = "swiglu";
  const void* both;  // [rows, 2 width]: gates, then values
  void* out;         // [rows, width]
  int width;
  bool packed;
};

struct SwiGluBackward {
  static constexpr const char* kName = "swiglu_backward";
  const void* both;  // [rows, 2 width]
  const void* dout;  // [rows, width]
  void* dboth;       // [rows, 2 width]
  int width;
  bool packed;
};

// log p(target) of each row of logits, which become onehot(target) - softmax where gradients are wanted; a block for each
// row. An ignored target (-100) gives 0 everywhere, one out of range a log-probability that is not a number.
struct CrossEntropy {
  static constexpr const char* kName = "cross_entropy";
  void* logits;              // [rows, vocab]
  const long long* targets;  // [rows]
  float* log_probs;          // [rows]
  int vocab;
  bool gradients;
  bool packed;
};

// The largest magnitude, as the bits of its fp32, which order as the numbers do; a NaN is larger than all.
struct Amax {
  static constexpr const char* kName = "amax";
  const void* x;   // [count]
  unsigned* bits;  // one, 0 before
  long long count;
  bool packed;
};

// To fp8, e4m3 or e5m2, scaled so that the largest magnitude becomes the largest there is: 448 or 57,344.
struct CastFp8 {
  static constexpr const char* kName = "cast_fp8";
  const void* x;              // [count]
  const unsigned* amax_bits;  // one
  unsigned char* out;         // [count]
  float* inverse_scale;       // one: what a value is worth
  long long count;
  bool packed;
  bool e5m2;
};

// An AdamW update of fp32 numbers in two halves; nothing where `found_inf` is 1.
struct SplitAdamW {
  static constexpr const char* kName = "split_adamw";
  unsigned short* rounded;  // [count]: bf16
  short* remainders;        // [count]: the fp32 number's bits less those of the bf16 one
  const void* grad;         // [count], of the kernel's kind
  float* exp_avg;           // [count]
  float* exp_avg_sq;        // [count]
  const float* step;        // one: updates, this one included
  const float* lr;          // one
  const float* found_inf;   // one
  double beta1, beta2;
  float eps, weight_decay;
  long long count;
  bool packed;
};

}  // namespace kernels
