// Numbers in memory and in registers: fp32, bf16 and fp8 e4m3 by their bits, several at a time. By their bits, because
// NVRTC finds CUDA's headers for them only where a toolkit is installed, and no host compiler finds them at all.
#pragma once

// bfloat16: the upper half of a float.
struct bf16 {
  unsigned short bits;
};

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

template <typename T>
__device__ T from_float(float x);

template <>
__device__ inline float from_float<float>(float x) {
  return x;
}

// To the nearest, halves to even; NaN stays NaN.
template <>
__device__ inline bf16 from_float<bf16>(float x) {
  const unsigned bits = __float_as_uint(x);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<unsigned short>(x != x ? 0x7fc0u : rounded)};
}

// fp8 e4m3: sign, 4 bits of exponent (bias 7), 3 of mantissa; no infinity, 448 the largest. To the nearest, halves to
// even; what is beyond 448 becomes 448.
__device__ inline unsigned char to_e4m3(float x) {
  const unsigned bits = __float_as_uint(x), sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu;
  unsigned code;
  if (x != x) {
    code = 0x7fu;
  } else if (magnitude >= 0x43e00000u) {  // 448
    code = 0x7eu;
  } else if (magnitude < 0x3c800000u) {  // 2^-6: below, multiples of 2^-9, which are the last bits of what is near 2^14
    code = __float_as_uint(__uint_as_float(magnitude) + 16384.0f) - 0x46800000u;
  } else {
    code = ((magnitude + 0x7ffffu + ((magnitude >> 20) & 1u)) >> 20) - (120u << 3);
  }
  return static_cast<unsigned char>(sign | code);
}

// fp8 e5m2: sign, 5 bits of exponent (bias 15), 2 of mantissa. To the nearest, halves to even; what is beyond 57,344, the
// largest, becomes it.
__device__ inline unsigned char to_e5m2(float x) {
  const unsigned bits = __float_as_uint(x), sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu;
  unsigned code;
  if (x != x) {
    code = 0x7fu;
  } else if (magnitude >= 0x47600000u) {  // 57,344
    code = 0x7bu;
  } else if (magnitude < 0x38800000u) {  // 2^-14: below, multiples of 2^-16, which are the last bits of what is near 2^7
    code = __float_as_uint(__uint_as_float(magnitude) + 128.0f) - 0x43000000u;
  } else {
    code = ((magnitude + 0xfffffu + ((magnitude >> 21) & 1u)) >> 21) - (112u << 2);
  }
  return static_cast<unsigned char>(sign | code);
}

// N numbers in registers.
template <int N>
struct Floats {
  float values[N];
  __device__ float& operator[](int i) { return values[i]; }
  __device__ const float& operator[](int i) const { return values[i]; }
};

// What is moved at once, 16 bytes at most.
template <typename T, int N>
struct alignas(sizeof(T) * N) Pack {
  T values[N];
};

// Numbers of T that are 16 bytes.
template <typename T>
constexpr int kPack = static_cast<int>(16 / sizeof(T));

// As many of T at a time as N allows.
template <typename T, int N>
constexpr int kPiece = N < kPack<T> ? N : kPack<T>;

template <int N, typename T>
__device__ inline Floats<N> load(const T* from) {
  constexpr int kAtOnce = kPiece<T, N>;
  Floats<N> out;
#pragma unroll
  for (int first = 0; first < N; first += kAtOnce) {
    const auto pack = *reinterpret_cast<const Pack<T, kAtOnce>*>(from + first);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) out[first + i] = to_float(pack.values[i]);
  }
  return out;
}

template <int N, typename T>
__device__ inline void store(T* to, const Floats<N>& values) {
  constexpr int kAtOnce = kPiece<T, N>;
#pragma unroll
  for (int first = 0; first < N; first += kAtOnce) {
    Pack<T, kAtOnce> pack;
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) pack.values[i] = from_float<T>(values[first + i]);
    *reinterpret_cast<Pack<T, kAtOnce>*>(to + first) = pack;
  }
}

// The entry points NAME_f32 and NAME_bf16 of BODY<T, N>, which moves N numbers of T at a time.
#define LT_KERNEL(NAME, BODY, ARGUMENTS)                                   \
  extern "C" __global__ void NAME##_f32(kernels::ARGUMENTS arguments) {    \
    if (arguments.packed) {                                                \
      BODY<float, kPack<float>>(arguments);                                \
    } else {                                                               \
      BODY<float, 1>(arguments);                                           \
    }                                                                      \
  }                                                                        \
  extern "C" __global__ void NAME##_bf16(kernels::ARGUMENTS arguments) {   \
    if (arguments.packed) {                                                \
      BODY<bf16, kPack<bf16>>(arguments);                                  \
    } else {                                                               \
      BODY<bf16, 1>(arguments);                                            \
    }                                                                      \
  }
