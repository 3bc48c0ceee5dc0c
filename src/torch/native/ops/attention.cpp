// Attention (Vaswani et al. 2017) of tokens to those before them, on a GPU by kernels that torch does not choose by itself:
// cuDNN's, and for documents one after another those of FlashAttention (Dao 2023), which take where each begins.
#include "../abi.h"

#include <ATen/Context.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/scaled_dot_product_attention.h>

namespace {

// Asks for cuDNN's kernels before others while it lives.
class CudnnFirst {
 public:
  CudnnFirst() : before_(at::globalContext().sDPPriorityOrder()) {
    std::vector<int64_t> order{static_cast<int64_t>(at::SDPBackend::cudnn_attention)};
    for (const auto backend : before_) {
      if (backend != at::SDPBackend::cudnn_attention) order.push_back(static_cast<int64_t>(backend));
    }
    at::globalContext().setSDPPriorityOrder(order);
  }
  ~CudnnFirst() {
    std::vector<int64_t> order;
    for (const auto backend : before_) order.push_back(static_cast<int64_t>(backend));
    at::globalContext().setSDPPriorityOrder(order);
  }
  CudnnFirst(const CudnnFirst&) = delete;
  CudnnFirst& operator=(const CudnnFirst&) = delete;

 private:
  decltype(at::globalContext().sDPPriorityOrder()) before_;
};

// [1, H, T, P] as [T, H, P], and back.
at::Tensor tokens_first(const at::Tensor& heads) { return heads.squeeze(0).transpose(0, 1); }
at::Tensor heads_first(const at::Tensor& tokens) { return tokens.transpose(0, 1).unsqueeze(0); }

}  // namespace

extern "C" {

// Queries [B, H, S, P], keys and values [B, K, S, P]: by cuDNN where it takes them.
char* lt_causal_attention(const at::Tensor* q, const at::Tensor* k, const at::Tensor* v, at::Tensor** out) {
  return guarded([&] {
    const CudnnFirst asked;
    *out = new at::Tensor(at::scaled_dot_product_attention(*q, *k, *v, /*attn_mask=*/{}, /*dropout_p=*/0.0, /*is_causal=*/true,
                                                           /*scale=*/{}, /*enable_gqa=*/q->size(1) != k->size(1)));
  });
}

// The same of documents one after another, B = 1: `starts` [documents + 1], int32, and the `longest` one's tokens.
char* lt_packed_attention(const at::Tensor* q, const at::Tensor* k, const at::Tensor* v, const at::Tensor* starts,
                          int64_t longest, at::Tensor** out) {
  return guarded([&] {
    const auto found = at::_flash_attention_forward(tokens_first(*q), tokens_first(*k), tokens_first(*v), *starts, *starts,
                                                    longest, longest, /*dropout_p=*/0.0, /*is_causal=*/true,
                                                    /*return_debug_mask=*/false);
    *out = new at::Tensor(heads_first(std::get<0>(found)));
  });
}

}  // extern "C"
