// The functions of the prelude that Hopper alone has, each by itself, on four warps.

struct as_f16 {
    static constexpr u32 LEN = 2, COLUMNS = 64;
    typedef float sum;
    static SN_DEV u32 pack(const float* x) { return sn_f32_to_f16(x[0]) | (u32)sn_f32_to_f16(x[1]) << 16; }
    static SN_DEV void multiply(float (&d)[8][4], const u32 (&a)[4], const void* b) { sn_wgmma_f16(d, a, b); }
};
struct as_bf16 {
    static constexpr u32 LEN = 2, COLUMNS = 64;
    typedef float sum;
    static SN_DEV u32 pack(const float* x) { return sn_f32_to_bf16(x[0]) | (u32)sn_f32_to_bf16(x[1]) << 16; }
    static SN_DEV void multiply(float (&d)[8][4], const u32 (&a)[4], const void* b) { sn_wgmma_bf16(d, a, b); }
};
struct as_s8 {
    static constexpr u32 LEN = 4, COLUMNS = 64;
    typedef i32 sum;
    static SN_DEV u32 byte(float x, int at) { return ((u32)(i32)x & 0xffu) << (8 * at); }
    static SN_DEV u32 pack(const float* x) { return byte(x[0], 0) | byte(x[1], 1) | byte(x[2], 2) | byte(x[3], 3); }
    static SN_DEV void multiply(i32 (&d)[8][4], const u32 (&a)[4], const void* b) { sn_wgmma_s8(d, a, b); }
};

struct as_wide_f16 : as_f16 {
    static constexpr u32 COLUMNS = 128;
    static SN_DEV void multiply(float (&d)[16][4], const u32 (&a)[4], const void* b) { sn_wgmma_f16(d, a, b); }
};
struct as_wide_bf16 : as_bf16 {
    static constexpr u32 COLUMNS = 128;
    static SN_DEV void multiply(float (&d)[16][4], const u32 (&a)[4], const void* b) { sn_wgmma_bf16(d, a, b); }
};

// a[64][2 K], b[columns][2 K]; a b^T in two steps.
template <class E> SN_DEV void check_product(const float* in, float* out) {
    constexpr u32 K = 8 * E::LEN, COLUMNS = E::COLUMNS, WORDS = 8 * COLUMNS;
    const float *a = in, *b = a + 64 * 2 * K;
    const u32 lane = threadIdx.x % 32, first_row = threadIdx.x / 32 * 16, g = lane / 4, q = lane % 4;
    SN_DYN_SHARED(u32, tiles);
    for (u32 word = threadIdx.x; word < 2 * WORDS; word += 128) {
        // [step][half of k][column][4 words of k]
        const u32 step = word / WORDS, half = word / (WORDS / 2) % 2, column = word / 4 % COLUMNS;
        const u32 k = (half * 4 + word % 4) * E::LEN;
        tiles[word] = E::pack(b + column * 2 * K + step * K + k);
    }
    sn_fence_async();
    __syncthreads();
    typename E::sum d[COLUMNS / 8][4];
    u32 ra[2][4];
#pragma unroll
    for (u32 step = 0; step < 2; ++step)
#pragma unroll
        for (u32 r = 0; r < 4; ++r)
            ra[step][r] = E::pack(a + (first_row + g + 8 * (r % 2)) * 2 * K + step * K + E::LEN * (q + 4 * (r / 2)));
#pragma unroll
    for (u32 j = 0; j < COLUMNS / 8; ++j)
#pragma unroll
        for (u32 i = 0; i < 4; ++i) d[j][i] = 0;
    sn_wgmma_touch(d);
    sn_wgmma_fence();
    E::multiply(d, ra[0], tiles);
    E::multiply(d, ra[1], tiles + WORDS);
    sn_wgmma_commit();
    sn_wgmma_wait<0>();
    sn_wgmma_touch(d);
#pragma unroll
    for (u32 j = 0; j < COLUMNS / 8; ++j)
#pragma unroll
        for (u32 i = 0; i < 4; ++i)
            out[(first_row + g + 8 * (i / 2)) * COLUMNS + 8 * j + 2 * q + i % 2] = (float)d[j][i];
}
SN_KERNEL void __launch_bounds__(128) check_wgmma_f16(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_f16>(in, out);
}
SN_KERNEL void __launch_bounds__(128) check_wgmma_bf16(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_bf16>(in, out);
}
SN_KERNEL void __launch_bounds__(128) check_wgmma_s8(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_s8>(in, out);
}
SN_KERNEL void __launch_bounds__(128) check_wgmma_wide_f16(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_wide_f16>(in, out);
}
SN_KERNEL void __launch_bounds__(128) check_wgmma_wide_bf16(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_wide_bf16>(in, out);
}
