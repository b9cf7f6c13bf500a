// Kernels for Hopper with one mistake each, of 64 threads (128 for wgmma) that read 64 numbers and write 64.

SN_KERNEL void barrier_without_initialization(const float* in, float* out) {
    __shared__ u64 full;
    sn_mbarrier_wait(&full, 0);
    out[threadIdx.x] = in[threadIdx.x];
}

template <bool EXPECTS, bool WAITS> SN_DEV void copy_rows(const float* in, float* out) {
    SN_DYN_SHARED(float, held);
    __shared__ u64 full;
    if (threadIdx.x == 0) {
        sn_mbarrier_init(&full, 1);
        sn_mbarrier_fence();
        if (EXPECTS) sn_mbarrier_arrive_expect(&full, 256);
        else sn_mbarrier_arrive_expect(&full, 512);
        sn_bulk_load(held, in, 256, &full);
    }
    __syncthreads();
    if (WAITS) sn_mbarrier_wait(&full, 0);
    out[threadIdx.x] = held[threadIdx.x];
    if (!WAITS) sn_mbarrier_wait(&full, 0);
}
SN_KERNEL void bulk_copy_without_wait(const float* in, float* out) { copy_rows<true, false>(in, out); }
SN_KERNEL void bytes_that_never_come(const float* in, float* out) { copy_rows<false, true>(in, out); }

SN_KERNEL void bulk_copy_that_nobody_waits_for(const float* in, float* out) {
    SN_DYN_SHARED(float, held);
    __shared__ u64 full;
    if (threadIdx.x == 0) {
        sn_mbarrier_init(&full, 1);
        sn_mbarrier_arrive_expect(&full, 256);
        sn_bulk_load(held, in, 256, &full);
    }
    out[threadIdx.x] = in[threadIdx.x];
}
