// Each function of the prelude by itself, on a warp. Numbers come and go as floats that hold them exactly.

// 32 numbers; of each what conversions make of it.
SN_KERNEL void __launch_bounds__(32) check_convert(const float* __restrict__ in, float* __restrict__ out) {
    const float x = in[threadIdx.x];
    float* const to = out + 6 * threadIdx.x;
    to[0] = (float)sn_f32_to_f16(x);
    to[1] = (float)sn_f32_to_bf16(x);
    to[2] = (float)(sn_f32_to_tf32(x) >> 16);
    to[3] = (float)(sn_f32_to_tf32(x) & 0xffffu);
    to[4] = sn_f16_to_f32(sn_f32_to_f16(x));
    to[5] = sn_bf16_to_f32(sn_f32_to_bf16(x));
}

// 160 numbers: one, then four, a lane.
SN_KERNEL void __launch_bounds__(32) check_load(const float* __restrict__ in, float* __restrict__ out) {
    const float4 four = sn_ld_nc((const float4*)(in + 32) + threadIdx.x);
    out[threadIdx.x] = sn_ld_nc(in + threadIdx.x) + four.x + 2.0f * four.y + 3.0f * four.z + 4.0f * four.w;
}

// 32 numbers, exchanged between lanes in each way.
SN_KERNEL void __launch_bounds__(32) check_lanes(const float* __restrict__ in, float* __restrict__ out) {
    const u32 lane = threadIdx.x, all = 0xffffffffu;
    const float x = in[lane];
    float* const to = out + 8 * lane;
    to[0] = __shfl_up_sync(all, x, 3);
    to[1] = __shfl_down_sync(all, x, 5);
    to[2] = __shfl_xor_sync(all, x, 9);
    to[3] = __shfl_sync(all, x, (int)(lane * 7 % 32));
    to[4] = __shfl_down_sync(all, x, 2, 8);
    const u32 odd = __ballot_sync(all, ((u32)x & 1u) != 0);
    to[5] = (float)__popc(odd);
    to[6] = (float)__ffs((i32)(odd >> lane));
    to[7] = (float)__clz((i32)(odd << lane));
}

// What registers hold of operands.
struct as_f16 {
    static constexpr u32 LEN = 2;
    typedef float sum;
    static SN_DEV u32 pack(const float* x) { return sn_f32_to_f16(x[0]) | (u32)sn_f32_to_f16(x[1]) << 16; }
    static SN_DEV void multiply(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { sn_mma_f16(d, a, b); }
};
struct as_bf16 {
    static constexpr u32 LEN = 2;
    typedef float sum;
    static SN_DEV u32 pack(const float* x) { return sn_f32_to_bf16(x[0]) | (u32)sn_f32_to_bf16(x[1]) << 16; }
    static SN_DEV void multiply(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { sn_mma_bf16(d, a, b); }
};
struct as_tf32 {
    static constexpr u32 LEN = 1;
    typedef float sum;
    static SN_DEV u32 pack(const float* x) { return sn_f32_to_tf32(x[0]); }
    static SN_DEV void multiply(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { sn_mma_tf32(d, a, b); }
};
struct as_s8 {
    static constexpr u32 LEN = 4;
    typedef i32 sum;
    static SN_DEV u32 byte(float x, int at) { return ((u32)(i32)x & 0xffu) << (8 * at); }
    static SN_DEV u32 pack(const float* x) { return byte(x[0], 0) | byte(x[1], 1) | byte(x[2], 2) | byte(x[3], 3); }
    static SN_DEV void multiply(i32 (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) { sn_mma_s8(d, a, b); }
};

// a[16][K], b[8][K], d[16][8]; d + a b^T.
template <class E> SN_DEV void check_product(const float* in, float* out) {
    constexpr u32 K = 8 * E::LEN;
    const float *a = in, *b = a + 16 * K, *c = b + 8 * K;
    const u32 g = threadIdx.x / 4, q = threadIdx.x % 4;
    u32 ra[4], rb[2];
    typename E::sum d[4];
    for (u32 r = 0; r < 4; ++r) ra[r] = E::pack(a + (g + 8 * (r % 2)) * K + E::LEN * (q + 4 * (r / 2)));
    for (u32 r = 0; r < 2; ++r) rb[r] = E::pack(b + g * K + E::LEN * (q + 4 * r));
    for (u32 i = 0; i < 4; ++i) d[i] = (typename E::sum)c[(g + 8 * (i / 2)) * 8 + 2 * q + i % 2];
    E::multiply(d, ra, rb);
    for (u32 i = 0; i < 4; ++i) out[(g + 8 * (i / 2)) * 8 + 2 * q + i % 2] = (float)d[i];
}
SN_KERNEL void __launch_bounds__(32) check_mma_f16(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_f16>(in, out);
}
SN_KERNEL void __launch_bounds__(32) check_mma_bf16(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_bf16>(in, out);
}
SN_KERNEL void __launch_bounds__(32) check_mma_tf32(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_tf32>(in, out);
}
SN_KERNEL void __launch_bounds__(32) check_mma_s8(const float* __restrict__ in, float* __restrict__ out) {
    check_product<as_s8>(in, out);
}

// 8 rows of 128 numbers, through three stages of shared memory; of the last row only lanes below 20 exist. Neighboring lanes
// read what others have copied.
SN_KERNEL void __launch_bounds__(32) check_cp_async_16(const float* __restrict__ in, float* __restrict__ out) {
    SN_DYN_SHARED(float, rows);
    const u32 lane = threadIdx.x;
    const auto fetch = [&](u32 row) {
        if (row < 8) sn_cp_async_16(rows + row % 3 * 128 + 4 * lane, in + row * 128 + 4 * lane, row < 7 || lane < 20);
        sn_cp_async_commit();
    };
    fetch(0);
    fetch(1);
    for (u32 row = 0; row < 8; ++row) {
        sn_cp_async_wait<1>();
        __syncthreads();
        fetch(row + 2);
        for (u32 i = 0; i < 4; ++i) out[row * 128 + 4 * lane + i] = rows[row % 3 * 128 + (4 * lane + i + 5) % 128];
    }
}
// 64 numbers, of which odd ones of the second half do not exist.
SN_KERNEL void __launch_bounds__(32) check_cp_async_4(const float* __restrict__ in, float* __restrict__ out) {
    __shared__ float held[64];
    const u32 lane = threadIdx.x;
    sn_cp_async_4(held + lane, in + lane);
    sn_cp_async_4(held + 32 + lane, in + 32 + lane, lane % 2 == 0);
    sn_cp_async_commit();
    sn_cp_async_wait<0>();
    __syncthreads();
    out[lane] = held[31 - lane];
    out[32 + lane] = held[63 - lane];
}
