// Kernels with one mistake each, of 64 threads that read 64 numbers and write 64.

SN_KERNEL void missing_barrier(const float* in, float* out) {
    __shared__ float sums[64];
    sums[threadIdx.x] = in[threadIdx.x];
    for (u32 half = 32; half > 0; half /= 2)
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
    out[threadIdx.x] = sums[0];
}

SN_KERNEL void unwritten_shared_memory(const float* in, float* out) {
    __shared__ float held[64];
    if (threadIdx.x < 63) held[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = held[threadIdx.x];
}

SN_KERNEL void unwritten_dynamic_memory(const float* in, float* out) {
    SN_DYN_SHARED(float, held);
    if (threadIdx.x < 63) held[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = held[threadIdx.x];
}

SN_KERNEL void store_outside_of_dynamic_memory(const float* in, float* out) {
    SN_DYN_SHARED(float, held);
    held[threadIdx.x + 1] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = held[threadIdx.x];
}

SN_KERNEL void store_outside_of_static_memory(const float* in, float* out) {
    __shared__ float held[63];
    held[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = held[63 - threadIdx.x];
}

SN_KERNEL void misaligned_vector(const float* in, float* out) {
    const float4 four = *(const float4*)(in + threadIdx.x / 2);
    out[threadIdx.x] = four.x;
}

SN_KERNEL void divergent_shuffle(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x < 16) x = __shfl_xor_sync(0xffffffffu, x, 1);
    else x = __shfl_xor_sync(0xffffffffu, x, 2);
    out[threadIdx.x] = x;
}

SN_KERNEL void barrier_at_two_places(const float* in, float* out) {
    if (threadIdx.x < 32) __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = in[threadIdx.x];
}

SN_KERNEL void exited_lane(const float* in, float* out) {
    if (threadIdx.x == 5) return;
    out[threadIdx.x] = __shfl_sync(0xffffffffu, in[threadIdx.x], 0);
}

SN_KERNEL void shuffle_from_outside_of_the_mask(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x < 16) x = __shfl_sync(0x0000ffffu, x, 20);
    out[threadIdx.x] = x;
}

SN_KERNEL void lane_outside_of_the_mask(const float* in, float* out) {
    out[threadIdx.x] = __shfl_sync(0x7fffffffu, in[threadIdx.x], 0);
}

SN_KERNEL void barrier_against_shuffle(const float* in, float* out) {
    float x = in[threadIdx.x];
    if (threadIdx.x < 16) __syncthreads();
    else x = __shfl_sync(0xffffffffu, x, 0);
    out[threadIdx.x] = x;
}

SN_KERNEL void copy_without_wait(const float* in, float* out) {
    __shared__ float held[64];
    sn_cp_async_4(held + threadIdx.x, in + threadIdx.x);
    sn_cp_async_commit();
    __syncthreads();
    out[threadIdx.x] = held[threadIdx.x];
}

SN_KERNEL void wait_one_group_late(const float* in, float* out) {
    __shared__ float held[64];
    sn_cp_async_4(held + threadIdx.x, in + threadIdx.x);
    sn_cp_async_commit();
    sn_cp_async_wait<1>();
    __syncthreads();
    out[threadIdx.x] = held[threadIdx.x];
}

SN_KERNEL void wait_before_commit(const float* in, float* out) {
    __shared__ float held[64];
    sn_cp_async_4(held + threadIdx.x, in + threadIdx.x);
    sn_cp_async_wait<0>();
    sn_cp_async_commit();
    __syncthreads();
    out[threadIdx.x] = held[threadIdx.x];
}

// Every thread waits for its own copies and reads those of others.
SN_KERNEL void wait_without_barrier(const float* in, float* out) {
    __shared__ float held[64];
    sn_cp_async_4(held + threadIdx.x, in + threadIdx.x);
    sn_cp_async_commit();
    sn_cp_async_wait<0>();
    out[threadIdx.x] = held[63 - threadIdx.x];
}

SN_KERNEL void copy_to_global_memory(const float* in, float* out) {
    sn_cp_async_4(out + threadIdx.x, in + threadIdx.x);
    sn_cp_async_commit();
    sn_cp_async_wait<0>();
}
