// Products of slices in registers, and what a thread then owns of a tile of results.

// Single or double precision without tensor cores: a thread owns every 16th row and column.
template <class G> struct sn_product_simt {
    typedef typename G::S S;
    static constexpr u32 ROWS = G::BM / 16, COLUMNS = G::BN / 16;
    S sum[ROWS][COLUMNS];
    u32 row, column;
    SN_DEV void begin() {
        row = threadIdx.x >> 4; column = threadIdx.x & 15u;
#pragma unroll
        for (u32 i = 0; i < ROWS; ++i)
#pragma unroll
            for (u32 j = 0; j < COLUMNS; ++j) sum[i][j] = 0;
    }
    SN_DEV void step(i32, const sn_quad* a, const sn_quad* b) {
        const sn_chunk<S>* as = (const sn_chunk<S>*)a;
        const sn_chunk<S>* bs = (const sn_chunk<S>*)b;
        // Not all at once: what is loaded ahead would take too many registers.
#pragma unroll 2
        for (u32 at = 0; at < 4; ++at) {
            sn_chunk<S> right[COLUMNS];
#pragma unroll
            for (u32 j = 0; j < COLUMNS; ++j) right[j] = bs[sn_place(column + 16u * j, at)];
#pragma unroll
            for (u32 i = 0; i < ROWS; ++i) {
                const sn_chunk<S> left = as[sn_place(row + 16u * i, at)];
#pragma unroll
                for (i32 l = 0; l < sn_chunk<S>::LEN; ++l)
#pragma unroll
                    for (u32 j = 0; j < COLUMNS; ++j) sum[i][j] = sn_fma(left.at[l], right[j].at[l], sum[i][j]);
            }
        }
    }
    template <class Sink> SN_DEV void store(Sink& sink) {
#pragma unroll
        for (u32 i = 0; i < ROWS; ++i) {
            sink.begin_row(row + 16u * i);
#pragma unroll
            for (u32 j = 0; j < COLUMNS; ++j) sink.put(column + 16u * j, sum[i][j]);
        }
    }
};

SN_DEV void sn_mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2], sn_f16) { sn_mma_f16(d, a, b); }
SN_DEV void sn_mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2], sn_bf16) { sn_mma_bf16(d, a, b); }
SN_DEV void sn_mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2], sn_tf32) { sn_mma_tf32(d, a, b); }

SN_DEV void sn_mma(i32 (&d)[4], const u32 (&a)[4], const u32 (&b)[2], sn_s8) { sn_mma_s8(d, a, b); }

// What tensor cores add up in, and what a sum of column `n` of a group's tile is multiplied with at last: one number for all,
// or with weights of 8 bits one for each output channel.
template <class G, bool INT8 = G::INT8> struct sn_scaled {
    typedef float Total;
    SN_DEV void begin(const typename G::B*, i64) {}
    SN_DEV float of(Total total, i32) const { return total * (float)G::SCALE; }
};
template <class G> struct sn_scaled<G, true> {
    typedef i32 Total;
    const float* scales;
    SN_DEV void begin(const typename G::B* weights, i64 tile) {
        scales = (const float*)((const u8*)weights + G::SCALES_AT) + tile * G::BN;
    }
    SN_DEV float of(Total total, i32 n) const { return (float)total * scales[n]; }
};

// How spikes in a word become what tensor cores multiply: register `at` of the lane's chunk, a power of two where there is
// a spike. Pairs of 16-bit elements are the bits (p, p + 16), which one shift brings to bit 13 of both halves.
template <class S> struct sn_unpacked {
    // Moves the lane's bits to the lowest ones.
    static SN_DEV u32 of_lane(u32 word, u32 lane, i32 slice) {
        return sizeof(S) == 4 ? word >> (4u * (lane & 3u) + 16u * ((u32)slice & 1u)) : word >> (4u * (lane & 3u));
    }
    static SN_DEV u32 part(u32 bits, u32 at) {
        return sizeof(S) == 4 ? bits << (30u - at) & 0x40000000u : bits << (13u - at) & 0x20002000u;
    }
};

// Four elements of 8 bits are the bits (p, p + 8, p + 16, p + 24); two registers come from the slice's first word and two
// from its second one.
template <> struct sn_unpacked<sn_s8> {
    static SN_DEV u32 of_lane(u32 word, u32 lane, i32) { return word >> (2u * (lane & 3u)); }
    static SN_DEV u32 part(u32 bits, u32 at) { return bits >> (at & 1u) & 0x01010101u; }
};

// Tensor cores: a warp owns `TILES` times 16 rows and `COLUMNS` times 8 columns. A lane's chunk holds its elements of two
// products in turn: the order of k is the same on both sides, so that no element needs to move.
template <class G> struct sn_product_mma {
    typedef typename G::S S;
    static constexpr u32 TILES = G::BM / 16 / G::WARPS_M, COLUMNS = G::BN / 8 / G::WARPS_N;
    // Words of spikes that a row of a slice has.
    static constexpr u32 WORDS = G::INT8 ? 2 : 1;
    typedef sn_scaled<G> Scaled;
    typename Scaled::Total sum[TILES][COLUMNS][4];
    Scaled scaled;
    u32 row, column, lane;
    SN_DEV void begin() {
        lane = threadIdx.x & 31u;
        const u32 warp = threadIdx.x >> 5;
        row = warp % G::WARPS_M * (TILES * 16u);
        column = warp / G::WARPS_M * (COLUMNS * 8u);
#pragma unroll
        for (u32 i = 0; i < TILES; ++i)
#pragma unroll
            for (u32 j = 0; j < COLUMNS; ++j)
#pragma unroll
                for (u32 e = 0; e < 4; ++e) sum[i][j][e] = 0;
    }
    SN_DEV void step(i32 slice, const sn_quad* a, const sn_quad* b) {
        const u32 group = lane >> 2, quarter = lane & 3u;
        sn_quad right[COLUMNS];
#pragma unroll
        for (u32 j = 0; j < COLUMNS; ++j) right[j] = b[sn_place(column + 8u * j + group, quarter)];
#pragma unroll
        for (u32 i = 0; i < TILES; ++i) {
            const u32 at = row + 16u * i + group;
            sn_quad upper, lower;
            if constexpr (G::WORDS) {
                u32 up[WORDS], low[WORDS];
#pragma unroll
                for (u32 w = 0; w < WORDS; ++w) {
                    up[w] = sn_unpacked<S>::of_lane(((const u32*)a)[at * WORDS + w], lane, slice);
                    low[w] = sn_unpacked<S>::of_lane(((const u32*)a)[(at + 8u) * WORDS + w], lane, slice);
                }
#pragma unroll
                for (u32 x = 0; x < 4; ++x) {
                    upper.x[x] = sn_unpacked<S>::part(up[x * WORDS / 4], x);
                    lower.x[x] = sn_unpacked<S>::part(low[x * WORDS / 4], x);
                }
            } else {
                upper = a[sn_place(at, quarter)];
                lower = a[sn_place(at + 8u, quarter)];
            }
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                const u32 left[4] = {upper.x[2 * half], lower.x[2 * half], upper.x[2 * half + 1], lower.x[2 * half + 1]};
#pragma unroll
                for (u32 j = 0; j < COLUMNS; ++j) {
                    const u32 both[2] = {right[j].x[2 * half], right[j].x[2 * half + 1]};
                    sn_mma(sum[i][j], left, both, S());
                }
            }
        }
    }
    template <class Sink> SN_DEV void store(Sink& sink) {
#pragma unroll
        for (u32 i = 0; i < TILES; ++i)
#pragma unroll
            for (u32 half = 0; half < 2; ++half) {
                sink.begin_row(row + 16u * i + 8u * half + (lane >> 2));
#pragma unroll
                for (u32 j = 0; j < COLUMNS; ++j) {
                    const u32 at = column + 8u * j + 2u * (lane & 3u);
                    sink.pair(at, scaled.of(sum[i][j][2 * half], at), scaled.of(sum[i][j][2 * half + 1], at + 1));
                }
            }
    }
};

#ifdef SNN_ARCH_A
template <int N> SN_DEV void sn_wgmma(float (&d)[N][4], const u32 (&a)[4], const void* b, sn_f16) { sn_wgmma_f16(d, a, b); }
template <int N> SN_DEV void sn_wgmma(float (&d)[N][4], const u32 (&a)[4], const void* b, sn_bf16) { sn_wgmma_bf16(d, a, b); }
SN_DEV void sn_wgmma(i32 (&d)[8][4], const u32 (&a)[4], const void* b, sn_s8) { sn_wgmma_s8(d, a, b); }

// The instructions of four warps: spikes, or what is gathered, stand in registers, while weights are read where they lie. A
// lane owns what it owns without them. While a slice is multiplied the rows of the next one are taken, into registers of their
// own: `TURN` says which.
template <class G> struct sn_product_wgmma : sn_product_mma<G> {
    typedef typename G::S S;
    static constexpr u32 TILES = sn_product_mma<G>::TILES, WORDS = sn_product_mma<G>::WORDS;
    u32 left[2][2][TILES][4];
    template <i32 TURN> SN_DEV void start(const sn_quad* b) {
        sn_wgmma_fence();
#pragma unroll
        for (u32 half = 0; half < 2; ++half)
#pragma unroll
            for (u32 i = 0; i < TILES; ++i) sn_wgmma(this->sum[i], left[TURN][half][i], b + half * (2 * G::BN), S());
        sn_wgmma_commit();
    }
    // The weights may be overwritten from here on.
    SN_DEV void finish() {
        sn_wgmma_wait<0>();
#pragma unroll
        for (u32 i = 0; i < TILES; ++i) sn_wgmma_touch(this->sum[i]);
    }
    template <i32 TURN> SN_DEV void take(i32 slice, const sn_quad* a) {
        const u32 quarter = this->lane & 3u;
#pragma unroll
        for (u32 i = 0; i < TILES; ++i) {
            const u32 at = this->row + 16u * i + (this->lane >> 2);
            if constexpr (G::WORDS) {
                const u32* const words = (const u32*)a;
#pragma unroll
                for (u32 half = 0; half < 2; ++half) {
                    const u32 of = half * WORDS / 2;
                    const u32 up = sn_unpacked<S>::of_lane(words[at * WORDS + of], this->lane, slice);
                    const u32 low = sn_unpacked<S>::of_lane(words[(at + 8u) * WORDS + of], this->lane, slice);
                    left[TURN][half][i][0] = sn_unpacked<S>::part(up, 2 * half);
                    left[TURN][half][i][1] = sn_unpacked<S>::part(low, 2 * half);
                    left[TURN][half][i][2] = sn_unpacked<S>::part(up, 2 * half + 1);
                    left[TURN][half][i][3] = sn_unpacked<S>::part(low, 2 * half + 1);
                }
            } else {
                // A lane's chunk is its elements of both halves.
                const sn_quad upper = a[sn_place(at, quarter)], lower = a[sn_place(at + 8u, quarter)];
#pragma unroll
                for (u32 half = 0; half < 2; ++half) {
                    left[TURN][half][i][0] = upper.x[2 * half];
                    left[TURN][half][i][1] = lower.x[2 * half];
                    left[TURN][half][i][2] = upper.x[2 * half + 1];
                    left[TURN][half][i][3] = lower.x[2 * half + 1];
                }
            }
        }
    }
};
#endif
