// The functions of the prelude that need compute capability 9.0, each by itself.

// 8 rows of 128 numbers, through two stages of shared memory that are filled by bulk copies and given back by all lanes.
SN_KERNEL void __launch_bounds__(32) check_bulk(const float* __restrict__ in, float* __restrict__ out) {
    SN_DYN_SHARED(float, rows);
    __shared__ u64 full[2], empty[2];
    const u32 lane = threadIdx.x;
    if (lane == 0) {
        for (u32 s = 0; s < 2; ++s) { sn_mbarrier_init(&full[s], 1); sn_mbarrier_init(&empty[s], 32); }
        sn_mbarrier_fence();
    }
    __syncthreads();
    const auto fetch = [&](u32 row) {
        const u32 s = row % 2;
        if (lane != 0) return;
        // The first round finds stages that nobody has used.
        sn_mbarrier_wait(&empty[s], (row / 2 & 1u) ^ 1u);
        sn_mbarrier_arrive_expect(&full[s], 512);
        sn_bulk_load(rows + s * 128, in + row * 128, 512, &full[s]);
    };
    fetch(0);
    for (u32 row = 0; row < 8; ++row) {
        const u32 s = row % 2;
        if (row + 1 < 8) fetch(row + 1);
        sn_mbarrier_wait(&full[s], row / 2 & 1u);
        for (u32 i = 0; i < 4; ++i) out[row * 128 + 4 * lane + i] = rows[s * 128 + (4 * lane + i + 5) % 128];
        sn_mbarrier_arrive(&empty[s]);
    }
}
