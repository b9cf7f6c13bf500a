// Products in the background with one mistake each, by 128 threads that write a number each: all should be 16 times 2.

template <bool FENCES, bool WAITS, bool KEEPS> SN_DEV void multiply(float* out) {
    SN_DYN_SHARED(u32, tile);
    for (u32 word = threadIdx.x; word < 512; word += 128) tile[word] = 0x40004000u;
    sn_fence_async();
    __syncthreads();
    float d[8][4] = {};
    const u32 a[4] = {0x3c003c00u, 0x3c003c00u, 0x3c003c00u, 0x3c003c00u};
    if (FENCES) sn_wgmma_fence();
    sn_wgmma_f16(d, a, tile);
    sn_wgmma_commit();
    if (!KEEPS) tile[threadIdx.x] = 0u;
    if (WAITS) sn_wgmma_wait<0>();
    out[threadIdx.x] = d[0][0];
}
SN_KERNEL void product_without_fence(const float*, float* out) { multiply<false, true, true>(out); }
SN_KERNEL void product_without_wait(const float*, float* out) { multiply<true, false, true>(out); }
SN_KERNEL void tile_overwritten_before_the_wait(const float*, float* out) { multiply<true, true, false>(out); }
SN_KERNEL void product_without_mistake(const float*, float* out) { multiply<true, true, true>(out); }
