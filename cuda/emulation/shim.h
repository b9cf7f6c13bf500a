// What stands before the text of kernels when a processor runs them: the names of CUDA that the dialect uses and the
// functions of the prelude, in terms of a runtime (runtime.h). No other header, since every text compiles this one.
#pragma once
#define SNN_EMULATED 1

namespace snn {
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

struct Vec3 {
    u32 x, y, z;
};
// What a thread knows of itself, and of its block.
struct Here {
    Vec3 thread_index;
};
struct Block {
    Vec3 block_index, block_size, grid_size;
    unsigned char* dynamic_shared;
};
#ifdef SNN_THREADS
extern __thread Here* here;
#else
extern Here* here;
#endif
extern Block block;

// A place in the text.
struct Site {
    const char* file;
    int line;
};
// Texts of a unit number their lines each by itself.
inline bool is_same(Site a, Site b) { return a.line == b.line && __builtin_strcmp(a.file, b.file) == 0; }

// One thread's part of something that lanes of a warp do together; the last to come does it for all.
struct Shuffle {
    void* value;
    u32 size, from;
};
struct Count {
    u32 mine, result;
};
enum class Reduction : u32 { ballot, add, least, greatest };
enum class Element : u32 { f16, bf16, tf32, s8 };
struct Product {
    Element element;
    void* d;
    const void* a;
    const void* b;
    u32 columns;  // of a product of four warps
};

u32 lane();
void barrier(Site);
void sync_warp(u32 mask, Site);
void shuffle(u32 mask, Shuffle&, Site);
u32 reduce(Reduction, u32 mask, u32 mine, Site);
void multiply(const Product&, Site);
void wgmma_fence(Site);
void wgmma(const Product&, Site);
void wgmma_commit(Site);
void wgmma_wait(u32 left, Site);
void copy_async(void* to, const void* from, u32 bytes, bool is_there, Site);
void copy_commit();
void copy_wait(u32 left);
void mbarrier_init(u64*, u32 count, Site);
void mbarrier_arrive(u64*, u32 bytes, Site);
void mbarrier_wait(u64*, u32 parity, Site);
void bulk_load(void* to, const void* from, u32 bytes, u64* barrier, Site);
[[noreturn]] void fail(const char* what, Site);

// How a kernel is called with arguments of 8 bytes each (launch.h), or with one that is a table of all of them.
#ifndef SNN_RUNTIME
struct Kernel {
    const char* name;
    void (*run)(const u64*);
    u32 arguments, most_threads;
};
#endif
template <u64... I> struct Indices {};
template <class T> inline T take(const u64* from) {
    T value;
    __builtin_memcpy(&value, from, sizeof(T));
    return value;
}
template <class... A, u64... I> inline void call(void (*kernel)(A...), const u64* arguments, Indices<I...>) {
    kernel(take<A>(arguments + I)...);
}
template <auto K> struct Entry;
template <class... A, void (*K)(A...)> struct Entry<K> {
    static_assert(((sizeof(A) == 8) && ...) || (sizeof...(A) == 1 && ((sizeof(A) % 8 == 0) && ...)),
                  "every argument of a kernel has 8 bytes, or is a table of such and the only one");
    static constexpr u32 arguments = (sizeof(A) + ... + 0) / 8;
    static void run(const u64* from) { call(K, from, Indices<__integer_pack(sizeof...(A))...>{}); }
};
}  // namespace snn

#define SNN_SITE const char *snn_file = __builtin_FILE(), int snn_line = __builtin_LINE()
#define SNN_AT \
    ::snn::Site { snn_file, snn_line }

// Names of CUDA.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
#define __shared__ static
#define threadIdx (::snn::here->thread_index)
#define blockIdx (::snn::block.block_index)
#define blockDim (::snn::block.block_size)
#define gridDim (::snn::block.grid_size)

inline void __syncthreads(SNN_SITE) { ::snn::barrier(SNN_AT); }
inline void __syncwarp(unsigned mask = 0xffffffffu, SNN_SITE) { ::snn::sync_warp(mask, SNN_AT); }
inline void __threadfence() {}
inline void __threadfence_block() {}

namespace snn {
template <class T> inline T shuffled(u32 mask, T value, u32 from, Site site) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "4 or 8 bytes are shuffled");
    Shuffle part{&value, (u32)sizeof(T), from};
    shuffle(mask, part, site);
    return value;
}
}  // namespace snn
template <class T> inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, SNN_SITE) {
    const unsigned own = ::snn::lane(), first = own & ~(unsigned)(width - 1);
    return ::snn::shuffled(mask, value, first + ((unsigned)lane & (unsigned)(width - 1)), SNN_AT);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, SNN_SITE) {
    const unsigned own = ::snn::lane(), first = own & ~(unsigned)(width - 1);
    return ::snn::shuffled(mask, value, own - first < by ? own : own - by, SNN_AT);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, SNN_SITE) {
    const unsigned own = ::snn::lane(), first = own & ~(unsigned)(width - 1);
    return ::snn::shuffled(mask, value, own - first + by >= (unsigned)width ? own : own + by, SNN_AT);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, SNN_SITE) {
    const unsigned own = ::snn::lane(), from = own ^ (unsigned)bits, end = (own & ~(unsigned)(width - 1)) + (unsigned)width;
    return ::snn::shuffled(mask, value, from >= end ? own : from, SNN_AT);
}
inline unsigned __ballot_sync(unsigned mask, int p, SNN_SITE) {
    return ::snn::reduce(::snn::Reduction::ballot, mask, p != 0, SNN_AT);
}
inline int __any_sync(unsigned mask, int p, SNN_SITE) { return __ballot_sync(mask, p, snn_file, snn_line) != 0; }
inline int __all_sync(unsigned mask, int p, SNN_SITE) { return __ballot_sync(mask, p, snn_file, snn_line) == mask; }
inline unsigned __reduce_add_sync(unsigned mask, unsigned x, SNN_SITE) {
    return ::snn::reduce(::snn::Reduction::add, mask, x, SNN_AT);
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned x, SNN_SITE) {
    return ::snn::reduce(::snn::Reduction::least, mask, x, SNN_AT);
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned x, SNN_SITE) {
    return ::snn::reduce(::snn::Reduction::greatest, mask, x, SNN_AT);
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int bit = 0; bit < 32; ++bit) reversed |= ((x >> bit) & 1u) << (31 - bit);
    return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
inline unsigned __float_as_uint(float x) {
    unsigned u;
    __builtin_memcpy(&u, &x, 4);
    return u;
}
inline int __float_as_int(float x) { return (int)__float_as_uint(x); }
inline float __uint_as_float(unsigned u) {
    float x;
    __builtin_memcpy(&x, &u, 4);
    return x;
}
inline float __int_as_float(int i) { return __uint_as_float((unsigned)i); }
inline long long __double_as_longlong(double x) {
    long long i;
    __builtin_memcpy(&i, &x, 8);
    return i;
}
inline double __longlong_as_double(long long i) {
    double x;
    __builtin_memcpy(&x, &i, 8);
    return x;
}

// Atomic operations on integers; those on floats are left out, since their sums depend on the order of threads.
#define SNN_ATOMIC(T) \
    inline T atomicAdd(T* at, T by) { return __atomic_fetch_add(at, by, __ATOMIC_RELAXED); } \
    inline T atomicExch(T* at, T to) { return __atomic_exchange_n(at, to, __ATOMIC_RELAXED); } \
    inline T atomicCAS(T* at, T if_it_is, T to) { \
        __atomic_compare_exchange_n(at, &if_it_is, to, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED); \
        return if_it_is; \
    } \
    inline T atomicOr(T* at, T bits) { return __atomic_fetch_or(at, bits, __ATOMIC_RELAXED); } \
    inline T atomicAnd(T* at, T bits) { return __atomic_fetch_and(at, bits, __ATOMIC_RELAXED); } \
    inline T atomicMin(T* at, T x) { \
        T was = __atomic_load_n(at, __ATOMIC_RELAXED); \
        while (x < was && !__atomic_compare_exchange_n(at, &was, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {} \
        return was; \
    } \
    inline T atomicMax(T* at, T x) { \
        T was = __atomic_load_n(at, __ATOMIC_RELAXED); \
        while (was < x && !__atomic_compare_exchange_n(at, &was, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {} \
        return was; \
    }
SNN_ATOMIC(unsigned)
SNN_ATOMIC(int)
SNN_ATOMIC(unsigned long long)
#undef SNN_ATOMIC

// Vectors.
#define SNN_VECTOR(T, N) \
    struct __align__(2 * sizeof(T)) N##2 { T x, y; }; \
    struct __align__(sizeof(T) == 8 ? 16 : 4 * sizeof(T)) N##4 { T x, y, z, w; }; \
    inline N##2 make_##N##2(T x, T y) { return {x, y}; } \
    inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SNN_VECTOR(float, float)
SNN_VECTOR(double, double)
SNN_VECTOR(int, int)
SNN_VECTOR(unsigned, uint)
SNN_VECTOR(unsigned short, ushort)
SNN_VECTOR(unsigned char, uchar)
SNN_VECTOR(long long, longlong)
SNN_VECTOR(unsigned long long, ulonglong)
#undef SNN_VECTOR

#ifndef SNN_RUNTIME
// Mathematics: those functions that give the same bits everywhere.
#define SNN_MATH1(name) \
    extern "C" double name(double) noexcept; \
    extern "C" float name##f(float) noexcept; \
    inline float name(float x) { return name##f(x); }
#define SNN_MATH2(name) \
    extern "C" double name(double, double) noexcept; \
    extern "C" float name##f(float, float) noexcept; \
    inline float name(float x, float y) { return name##f(x, y); }
SNN_MATH1(sqrt)
SNN_MATH1(fabs)
SNN_MATH1(floor)
SNN_MATH1(ceil)
SNN_MATH1(trunc)
SNN_MATH1(rint)
SNN_MATH2(fmin)
SNN_MATH2(fmax)
SNN_MATH2(fmod)
SNN_MATH2(copysign)
#undef SNN_MATH1
#undef SNN_MATH2
extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
extern "C" double ldexp(double, int) noexcept;
extern "C" float ldexpf(float, int) noexcept;
#define SNN_ORDER(T) \
    inline T min(T a, T b) { return b < a ? b : a; } \
    inline T max(T a, T b) { return a < b ? b : a; }
SNN_ORDER(int)
SNN_ORDER(unsigned)
SNN_ORDER(long long)
SNN_ORDER(unsigned long long)
#undef SNN_ORDER
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
template <class T> inline bool isnan(T x) { return x != x; }
template <class T> inline bool isinf(T x) { return __builtin_isinf(x); }
template <class T> inline bool isfinite(T x) { return __builtin_isfinite(x); }

#endif  // SNN_RUNTIME

// The prelude.
#define SN_DEV inline
#define SN_KERNEL extern "C"
#define SN_TABLE
#define SN_DYN_SHARED(T, name) T* const name = (T*)::snn::block.dynamic_shared

inline unsigned short sn_f32_to_f16(float x) {
    const unsigned u = __float_as_uint(x), sign = (u >> 16) & 0x8000u, size = u & 0x7fffffffu;
    if (size > 0x7f800000u) return 0x7fff;
    if (size >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u);
    if (size < 0x38800000u) {
        // Added to 1/2, the unit of the last place is that of the smallest numbers of half precision.
        const unsigned small = __float_as_uint(__uint_as_float(size) + 0.5f) - 0x3f000000u;
        return (unsigned short)(sign | small);
    }
    const unsigned rounded = size + 0xfffu + ((size >> 13) & 1u) - 0x38000000u;
    return (unsigned short)(sign | rounded >> 13);
}
inline float sn_f16_to_f32(unsigned short h) {
    // 2^112 brings the exponent to its place, of numbers below the normal ones, too.
    const float x = __uint_as_float((unsigned)(h & 0x7fffu) << 13) * 0x1p112f;
    const unsigned u = __float_as_uint(x) | ((h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u);
    return __uint_as_float(u | (unsigned)(h & 0x8000u) << 16);
}
inline unsigned short sn_f32_to_bf16(float x) {
    const unsigned u = __float_as_uint(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (unsigned short)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
inline float sn_bf16_to_f32(unsigned short h) { return __uint_as_float((unsigned)h << 16); }
inline unsigned sn_f32_to_tf32(float x) {
    const unsigned u = __float_as_uint(x);
    return (u & 0x7fffffffu) > 0x7f800000u ? 0x7fffffffu : (u & 0x7fffffffu) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}
template <class T> inline T sn_ld_nc(const T* from) { return *from; }

#define SNN_MMA(name, element, T) \
    inline void name(T(&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], SNN_SITE) { \
        ::snn::multiply({::snn::Element::element, d, a, b}, SNN_AT); \
    }
SNN_MMA(sn_mma_f16, f16, float)
SNN_MMA(sn_mma_bf16, bf16, float)
SNN_MMA(sn_mma_tf32, tf32, float)
SNN_MMA(sn_mma_s8, s8, int)
#undef SNN_MMA

inline void sn_cp_async_4(void* to, const void* from, bool is_there = true, SNN_SITE) {
    ::snn::copy_async(to, from, 4, is_there, SNN_AT);
}
inline void sn_cp_async_16(void* to, const void* from, bool is_there = true, SNN_SITE) {
    ::snn::copy_async(to, from, 16, is_there, SNN_AT);
}
inline void sn_cp_async_commit() { ::snn::copy_commit(); }
template <int N> inline void sn_cp_async_wait() { ::snn::copy_wait(N); }

#if __CUDA_ARCH__ >= 900
inline void sn_mbarrier_init(unsigned long long* barrier, unsigned count, SNN_SITE) {
    ::snn::mbarrier_init(barrier, count, SNN_AT);
}
inline void sn_mbarrier_fence() {}
inline void sn_mbarrier_arrive(unsigned long long* barrier, SNN_SITE) { ::snn::mbarrier_arrive(barrier, 0, SNN_AT); }
inline void sn_mbarrier_arrive_expect(unsigned long long* barrier, unsigned bytes, SNN_SITE) {
    ::snn::mbarrier_arrive(barrier, bytes, SNN_AT);
}
inline void sn_mbarrier_wait(unsigned long long* barrier, unsigned parity, SNN_SITE) {
    ::snn::mbarrier_wait(barrier, parity, SNN_AT);
}
inline void sn_bulk_load(void* to, const void* from, unsigned bytes, unsigned long long* barrier, SNN_SITE) {
    ::snn::bulk_load(to, from, bytes, barrier, SNN_AT);
}
inline void sn_fence_async() {}
#endif
#ifdef SNN_ARCH_A
inline void sn_wgmma_fence(SNN_SITE) { ::snn::wgmma_fence(SNN_AT); }
inline void sn_wgmma_commit(SNN_SITE) { ::snn::wgmma_commit(SNN_AT); }
template <int N> inline void sn_wgmma_wait(SNN_SITE) { ::snn::wgmma_wait(N, SNN_AT); }
template <class T, int N> inline void sn_wgmma_touch(T (&)[N][4]) {}
#define SNN_WGMMA(name, element, T) \
    template <int N> inline void name(T(&d)[N][4], const unsigned (&a)[4], const void* b, SNN_SITE) { \
        ::snn::wgmma({::snn::Element::element, d, a, b, 8 * N}, SNN_AT); \
    }
SNN_WGMMA(sn_wgmma_f16, f16, float)
SNN_WGMMA(sn_wgmma_bf16, bf16, float)
SNN_WGMMA(sn_wgmma_s8, s8, int)
#undef SNN_WGMMA
#endif
