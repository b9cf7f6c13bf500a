// What every text begins with: short names of types, and functions for the instructions that C++ has no operator for.
// An emulation defines SNN_EMULATED and gives its own form of everything between the guards.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#ifndef SNN_EMULATED
#define SN_DEV __device__ __forceinline__
#define SN_KERNEL extern "C" __global__
// Stands before a table of arguments, which is read where the launch put it.
#define SN_TABLE __grid_constant__
// The memory that a launch asks for, 128-byte aligned.
#define SN_DYN_SHARED(T, name) \
    extern __shared__ __align__(128) unsigned char sn_dynamic_shared[]; \
    T* const name = (T*)sn_dynamic_shared
// Instructions of Hopper alone.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL) && !defined(SNN_ARCH_A)
#define SNN_ARCH_A 1
#endif

// Floats of fewer bits, rounded to nearest; ties to even, of tf32 away from zero.
SN_DEV u16 sn_f32_to_f16(float x) { u16 h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x)); return h; }
SN_DEV float sn_f16_to_f32(u16 h) { float x; asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h)); return x; }
SN_DEV u16 sn_f32_to_bf16(float x) { u16 h; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x)); return h; }
SN_DEV float sn_bf16_to_f32(u16 h) { return __uint_as_float((u32)h << 16); }
SN_DEV u32 sn_f32_to_tf32(float x) { u32 t; asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(t) : "f"(x)); return t; }

// A number or a vector of CUDA, 16 bytes at most, from memory that no thread of the launch writes.
template <class T> SN_DEV T sn_ld_nc(const T* from) { return __ldg(from); }

// Products of a warp's tiles, d += a b. Lane 4 g + q holds, of d: rows g and g + 8, columns 2 q and 2 q + 1; of a and b:
// f16 and bf16, two to a register: a[0..4] rows g, g + 8, g, g + 8 from column 2 q, the last two 8 columns on; b[0..2]
// column g, rows from 2 q, the last 8 rows on. tf32: a's columns q and q + 4, b's rows q and q + 4. s8, four to a register:
// as f16 with columns and rows from 4 q, the last 16 on.
SN_DEV void sn_mma_f16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
SN_DEV void sn_mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
SN_DEV void sn_mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
SN_DEV void sn_mma_s8(i32 (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

SN_DEV u32 sn_shared_address(const void* at) { return (u32)__cvta_generic_to_shared(at); }

// Copies that go on in the background, global to shared memory, aligned to their size; zeros where `is_there` is false, and
// nothing is read. Those between two commits are a group; a wait leaves the last N groups of the thread under way.
SN_DEV void sn_cp_async_4(void* to, const void* from, bool is_there = true) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
        :: "r"(sn_shared_address(to)), "l"(from), "r"(is_there ? 4 : 0) : "memory");
}
SN_DEV void sn_cp_async_16(void* to, const void* from, bool is_there = true) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
        :: "r"(sn_shared_address(to)), "l"(from), "r"(is_there ? 16 : 0) : "memory");
}
SN_DEV void sn_cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> SN_DEV void sn_cp_async_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory"); }

#if __CUDA_ARCH__ >= 900
// Barriers in shared memory, which bytes that arrive count for, too. A phase ends when `count` threads have arrived and all
// bytes that were expected are there. A wait is for the end of the phase of this parity; the first phase's is 0.
SN_DEV void sn_mbarrier_init(u64* barrier, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(sn_shared_address(barrier)), "r"(count) : "memory");
}
// Between the initialization and whoever uses the barriers besides, a __syncthreads follows.
SN_DEV void sn_mbarrier_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
SN_DEV void sn_mbarrier_arrive(u64* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(sn_shared_address(barrier)) : "memory");
}
SN_DEV void sn_mbarrier_arrive_expect(u64* barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
        :: "r"(sn_shared_address(barrier)), "r"(bytes) : "memory");
}
SN_DEV void sn_mbarrier_wait(u64* barrier, u32 parity) {
    u32 is_over;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
            : "=r"(is_over) : "r"(sn_shared_address(barrier)), "r"(parity) : "memory");
    } while (!is_over);
}
// A copy by one thread, of a multiple of 16 bytes, both ends aligned to 16, whose bytes arrive at a barrier.
SN_DEV void sn_bulk_load(void* to, const void* from, u32 bytes, u64* barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
        :: "r"(sn_shared_address(to)), "l"(from), "r"(bytes), "r"(sn_shared_address(barrier)) : "memory");
}
// What threads have stored in shared memory is there for bulk copies and wgmma; a __syncthreads follows.
SN_DEV void sn_fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
#endif

#ifdef SNN_ARCH_A
// Products of four warps' tiles, d += a b, 64 rows (16 a warp, in its lanes as above) and 64 or 128 columns: d[j] is columns
// 8 j on.
// b stands in shared memory, aligned to 16: [half of k][column][16 bytes of k]. They go on in the background; registers must
// not be touched between a fence before and the wait after, which leaves the last N groups under way.
SN_DEV void sn_wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
SN_DEV void sn_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> SN_DEV void sn_wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(N) : "memory"); }
// Keeps the compiler from moving accesses of d across; stands behind the wait.
template <int N> SN_DEV void sn_wgmma_touch(float (&d)[N][4]) {
#pragma unroll
    for (int j = 0; j < N; ++j) asm volatile("" : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3]) :: "memory");
}
SN_DEV void sn_wgmma_touch(i32 (&d)[8][4]) {
#pragma unroll
    for (int j = 0; j < 8; ++j) asm volatile("" : "+r"(d[j][0]), "+r"(d[j][1]), "+r"(d[j][2]), "+r"(d[j][3]) :: "memory");
}
// No swizzle: 16 bytes a column from one half of k to the other, 128 from 8 columns to the next 8.
SN_DEV u64 sn_wgmma_descriptor(const void* b, u32 columns) {
    return (u64)((sn_shared_address(b) & 0x3ffffu) >> 4) | (u64)columns << 16 | (u64)(128 >> 4) << 32;
}
#define SN_WGMMA(TYPES, C, SCALES) \
    asm volatile("wgmma.mma_async.sync.aligned." TYPES " " \
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, " \
        "{%32,%33,%34,%35}, %36, " SCALES ";" \
        : SN_WGMMA_ROW(C, 0), SN_WGMMA_ROW(C, 1), SN_WGMMA_ROW(C, 2), SN_WGMMA_ROW(C, 3), \
          SN_WGMMA_ROW(C, 4), SN_WGMMA_ROW(C, 5), SN_WGMMA_ROW(C, 6), SN_WGMMA_ROW(C, 7) \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(sn_wgmma_descriptor(b, 64)) : "memory")
#define SN_WGMMA_ROW(C, j) C(d[j][0]), C(d[j][1]), C(d[j][2]), C(d[j][3])
SN_DEV void sn_wgmma_f16(float (&d)[8][4], const u32 (&a)[4], const void* b) {
    SN_WGMMA("m64n64k16.f32.f16.f16", "+f", "1, 1, 1, 0");
}
SN_DEV void sn_wgmma_bf16(float (&d)[8][4], const u32 (&a)[4], const void* b) {
    SN_WGMMA("m64n64k16.f32.bf16.bf16", "+f", "1, 1, 1, 0");
}
SN_DEV void sn_wgmma_s8(i32 (&d)[8][4], const u32 (&a)[4], const void* b) {
    SN_WGMMA("m64n64k32.s32.s8.s8", "+r", "1");
}
#define SN_WGMMA_WIDE(TYPES) \
    asm volatile("wgmma.mma_async.sync.aligned." TYPES " " \
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, " \
        "{%64,%65,%66,%67}, %68, 1, 1, 1, 0;" \
        : SN_WGMMA_ROW("+f", 0), SN_WGMMA_ROW("+f", 1), SN_WGMMA_ROW("+f", 2), SN_WGMMA_ROW("+f", 3), \
          SN_WGMMA_ROW("+f", 4), SN_WGMMA_ROW("+f", 5), SN_WGMMA_ROW("+f", 6), SN_WGMMA_ROW("+f", 7), \
          SN_WGMMA_ROW("+f", 8), SN_WGMMA_ROW("+f", 9), SN_WGMMA_ROW("+f", 10), SN_WGMMA_ROW("+f", 11), \
          SN_WGMMA_ROW("+f", 12), SN_WGMMA_ROW("+f", 13), SN_WGMMA_ROW("+f", 14), SN_WGMMA_ROW("+f", 15) \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(sn_wgmma_descriptor(b, 128)) : "memory")
SN_DEV void sn_wgmma_f16(float (&d)[16][4], const u32 (&a)[4], const void* b) {
    SN_WGMMA_WIDE("m64n128k16.f32.f16.f16");
}
SN_DEV void sn_wgmma_bf16(float (&d)[16][4], const u32 (&a)[4], const void* b) {
    SN_WGMMA_WIDE("m64n128k16.f32.bf16.bf16");
}
#undef SN_WGMMA_WIDE
#undef SN_WGMMA
#undef SN_WGMMA_ROW
#endif
#endif
