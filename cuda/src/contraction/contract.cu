// The products of all contractions, block by block, and what surrounds them.

// A tile of results: which, and where it is stored.
template <class G> struct sn_block {
    i32 column, group, part, phase_y, phase_x;
    i64 row;
    SN_DEV void begin() {
        u32 at = blockIdx.x;
        column = (i32)(at % G::TILES_N) * G::BN; at /= G::TILES_N;
        row = (i64)(at % G::TILES_M) * (G::BM / G::STEPS); at /= G::TILES_M;
        const i32 phase = (i32)(at % (G::PHASES_H * G::PHASES_W)); at /= G::PHASES_H * G::PHASES_W;
        phase_y = phase / G::PHASES_W; phase_x = phase % G::PHASES_W;
        group = (i32)(at % G::GROUPS);
        part = (i32)(at / G::GROUPS);
    }
    // Rows of the phase; tiles are counted by the largest one.
    SN_DEV i64 rows() const {
        if (G::KIND == SN_WEIGHT_GRADIENT) return G::M;
        if (G::PHASES_H * G::PHASES_W == 1) return G::PIXELS;
        return (i64)G::IMAGES * sn_in_phase(G::RESULT_H, phase_y, G::STRIDE_H) * sn_in_phase(G::RESULT_W, phase_x, G::STRIDE_W);
    }
    // The first slice from `slice` on that meets anything: taps of other phases are passed over.
    SN_DEV i32 next(i32 slice, i32 end) const {
        if (G::PHASES_H * G::PHASES_W == 1 || !G::BY_TAP) return slice;
        while (slice < end && !sn_offset_of<G>(slice / G::SLICES_OF_TAP, phase_y, phase_x).is_there)
            slice = (slice / G::SLICES_OF_TAP + 1) * G::SLICES_OF_TAP;
        return slice;
    }
};

// Stores results, or parts of them in the order of results (those of weights as [cout][tap][channel]).
template <class G> struct sn_sink {
    typedef typename G::Sum Sum;
    typename G::Out* out;
    Sum* parts;
    const sn_block<G>& block;
    i64 rows, base;
    bool is_row;
    SN_DEV void begin_row(u32 at) {
        const i64 m = block.row + at;
        is_row = m < rows;
        if (sn_is_turned<G>) {
            base = (i64)block.group * G::M * G::N + (G::PARTS > 1 ? m : m % G::C * (G::KERNEL_H * G::KERNEL_W) + m / G::C);
        } else if (G::KIND == SN_WEIGHT_GRADIENT) {
            base = ((i64)block.group * G::M + m) * G::N;
        } else {
            base = (is_row ? sn_destination<G>(m, block.phase_y, block.phase_x) : 0) * G::RESULT_PITCH + (i64)block.group * G::N;
        }
    }
    SN_DEV i64 place(i32 n) const {
        if (sn_is_turned<G>) return base + (i64)n * G::M;
        if (G::KIND != SN_WEIGHT_GRADIENT || G::PARTS > 1) return base + n;
        return base + n % G::C * (i64)(G::KERNEL_H * G::KERNEL_W) + n / G::C;
    }
    SN_DEV void put(u32 at, Sum value) {
        const i32 n = block.column + (i32)at;
        if (!is_row || n >= G::N) return;
        if (G::PARTS > 1) parts[(i64)block.part * G::RESULT_LEN + place(n)] = value;
        else sn_assign(out[place(n)], value);
    }
    SN_DEV void pair(u32 at, Sum first, Sum second) {
        if constexpr (G::PAIRS && G::PARTS == 1 && G::KIND != SN_WEIGHT_GRADIENT) {
            const i32 n = block.column + (i32)at;
            if (!is_row || n >= G::N) return;
            sn_vector<typename G::Out, 2> both;
            sn_assign(both.at[0], first);
            sn_assign(both.at[1], second);
            *(sn_vector<typename G::Out, 2>*)(out + base + n) = both;
        } else {
            put(at, first);
            put(at + 1, second);
        }
    }
};

// Brings slices through shared memory to a product: while one is multiplied those behind it are on their way.
template <class G, class Left, class Right, class Product>
SN_DEV void sn_pipeline(const sn_block<G>& block, i32 begin, i32 end, Left& left, Right& right, Product& product, sn_quad* memory) {
    constexpr i32 SIZE = G::LEFT_QUADS + G::BN * 4;
    i32 ahead = block.next(begin, end);
    for (i32 stage = 0; stage < G::STAGES - 1; ++stage) {
        if (ahead < end) {
            sn_quad* to = memory + stage * SIZE;
            left.fetch(ahead, to);
            right.fetch(ahead, to + G::LEFT_QUADS);
            left.settle(to);
            right.settle(to + G::LEFT_QUADS);
            ahead = block.next(ahead + 1, end);
        }
        sn_cp_async_commit();
    }
    i32 stage = 0;
    for (i32 slice = block.next(begin, end); slice < end; slice = block.next(slice + 1, end)) {
        sn_cp_async_wait<G::STAGES - 2>();
        __syncthreads();
        sn_quad* to = memory + (stage == 0 ? G::STAGES - 1 : stage - 1) * SIZE;
        const bool is_more = ahead < end;
        if (is_more) {
            left.fetch(ahead, to);
            right.fetch(ahead, to + G::LEFT_QUADS);
        }
        sn_cp_async_commit();
        product.step(slice, memory + stage * SIZE, memory + stage * SIZE + G::LEFT_QUADS);
        if (is_more) {
            left.settle(to);
            right.settle(to + G::LEFT_QUADS);
            ahead = block.next(ahead + 1, end);
        }
        stage = stage == G::STAGES - 1 ? 0 : stage + 1;
    }
}

#ifdef SNN_ARCH_A
// The same for warpgroups, at least three stages: what is multiplied in the background leaves time to take rows of the next
// slice out of shared memory and to bring the one after it there.
template <class G, class Left, class Right, class Product> struct sn_background {
    static constexpr i32 SIZE = G::LEFT_QUADS + G::BN * 4;
    const sn_block<G>& block;
    const i32 end;
    Left& left;
    Right& right;
    Product& product;
    sn_quad* const memory;
    i32 slice, next, ahead, stage;

    static SN_DEV i32 behind(i32 at) { return at == G::STAGES - 1 ? 0 : at + 1; }
    SN_DEV void bring(sn_quad* to) {
        left.fetch(ahead, to);
        right.fetch(ahead, to + G::LEFT_QUADS);
    }
    SN_DEV void settle(sn_quad* to) {
        left.settle(to);
        right.settle(to + G::LEFT_QUADS);
        ahead = block.next(ahead + 1, end);
    }
    // All slices but the last LEFT that are on their way are there for every warp.
    template <i32 LEFT> static SN_DEV void meet() {
        sn_cp_async_wait<LEFT>();
        sn_fence_async();
        __syncthreads();
    }
    template <i32 TURN> SN_DEV bool turn() {
        if (slice >= end) return false;
        meet<G::STAGES - 3>();
        product.template start<TURN>(memory + stage * SIZE + G::LEFT_QUADS);
        sn_quad* const to = memory + (stage == 0 ? G::STAGES - 1 : stage - 1) * SIZE;
        const bool is_more = ahead < end;
        if (is_more) bring(to);
        sn_cp_async_commit();
        stage = behind(stage);
        if (next < end) product.template take<1 - TURN>(next, memory + stage * SIZE);
        if (is_more) settle(to);
        product.finish();
        slice = next;
        next = block.next(next + 1, end);
        return true;
    }
    SN_DEV void run(i32 begin) {
        ahead = slice = block.next(begin, end);
        next = block.next(slice + 1, end);
        stage = 0;
        for (i32 at = 0; at < G::STAGES - 1; ++at) {
            sn_quad* const to = memory + at * SIZE;
            if (ahead < end) {
                bring(to);
                settle(to);
            }
            sn_cp_async_commit();
        }
        meet<G::STAGES - 2>();
        if (slice < end) product.template take<0>(slice, memory);
        while (turn<0>() && turn<1>()) {}
    }
};
#endif

// Brings slices through shared memory to the product of a block.
template <class G, class Left, class Right, class Product>
SN_DEV void sn_stream(const sn_block<G>& block, i32 begin, i32 end, Left& left, Right& right, Product& product, sn_quad* memory) {
#ifdef SNN_ARCH_A
    if constexpr (G::WARPGROUPS) {
        sn_background<G, Left, Right, Product>{block, end, left, right, product, memory, 0, 0, 0, 0}.run(begin);
        return;
    }
#endif
    if constexpr (!G::WARPGROUPS) sn_pipeline(block, begin, end, left, right, product, memory);
}

// Where slices lie: a block's own memory, or what its launch asks for where they need more.
template <class G, bool IS_LARGE = G::IS_LARGE> struct sn_slices {
    static SN_DEV sn_quad* memory() {
        __shared__ sn_quad held[G::STAGES * (G::LEFT_QUADS + G::BN * 4)];
        return held;
    }
};
template <class G> struct sn_slices<G, true> {
    static SN_DEV sn_quad* memory() {
        SN_DYN_SHARED(sn_quad, held);
        return held;
    }
};

// The products of a block.
template <class G, class Product>
SN_DEV void sn_multiply(const sn_block<G>& block, const typename G::A* a, const typename G::B* b, Product& product) {
    sn_quad* const memory = sn_slices<G>::memory();
    const i32 begin = block.part * G::SLICES_OF_PART;
    const i32 end = begin + G::SLICES_OF_PART < G::SLICES ? begin + G::SLICES_OF_PART : G::SLICES;
    product.begin();
    if constexpr (G::KIND == SN_WEIGHT_GRADIENT) {
        typename sn_select<G::WORDS, sn_turned<G>, sn_columns<G, false>>::type left;
        typename sn_select<G::WORDS, sn_columns<G, false>, sn_columns<G, true>>::type right;
        left.begin(G::WORDS ? (const void*)a : (const void*)b, block.group, (i32)block.row);
        right.begin(G::WORDS ? (const void*)b : (const void*)a, block.group, block.column);
        sn_stream(block, begin, end, left, right, product, memory);
    } else {
        typename sn_select<G::WORDS, sn_gather_words<G>, sn_gather<G>>::type left;
        sn_weights<G> right;
        left.begin(a, block.row, block.rows(), block.group, block.phase_y, block.phase_x);
        const i64 tile = (i64)block.group * G::TILES_N + block.column / G::BN;
        right.begin(b, tile);
        if constexpr (G::TENSOR) product.scaled.begin(b, tile);
        sn_stream(block, begin, end, left, right, product, memory);
    }
}

template <class G> struct sn_product {
#ifdef SNN_ARCH_A
    typedef typename sn_select<G::WARPGROUPS, sn_product_wgmma<G>, sn_product_mma<G>>::type Tensor;
#else
    typedef sn_product_mma<G> Tensor;
#endif
    typedef typename sn_select<G::TENSOR, Tensor, sn_product_simt<G>>::type type;
};

// A contraction, or a part of its sums.
template <class G>
SN_DEV void sn_contract(const typename G::A* a, const typename G::B* b, typename G::Out* out, typename G::Sum* parts) {
    sn_block<G> block;
    block.begin();
    if (block.row >= block.rows()) return;
    typename sn_product<G>::type product;
    sn_multiply(block, a, b, product);
    sn_sink<G> sink = {out, parts, block, block.rows(), 0, false};
    product.store(sink);
}

// Parts added up in order.
template <class G> SN_DEV void sn_add_parts(const typename G::Sum* parts, typename G::Out* out) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= G::RESULT_LEN) return;
    typename G::Sum sum = 0;
    for (i32 part = 0; part < G::PARTS; ++part) sum += parts[part * G::RESULT_LEN + at];
    i64 to = at;
    if (G::KIND == SN_WEIGHT_GRADIENT) {
        constexpr i32 LEN = G::C * G::KERNEL_H * G::KERNEL_W;
        const i64 row = at / LEN;
        const i32 n = (i32)(at - row * LEN);
        to = row * LEN + n % G::C * (i64)(G::KERNEL_H * G::KERNEL_W) + n / G::C;
    }
    sn_assign(out[to], sum);
}

// The scales of columns, [group][column in whole tiles], behind the weights: the largest magnitude of an output channel is
// 127 of them. A warp a column.
template <class G> SN_DEV void sn_find_scales(const typename G::Weight* weights, typename G::S* to) {
    constexpr i32 OF_CHANNEL = G::C * G::KERNEL_H * G::KERNEL_W;
    const i64 number = ((i64)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
    const u32 lane = threadIdx.x & 31u;
    if (number >= (i64)G::GROUPS * G::TILES_N * G::BN) return;
    const i64 group = number / (G::TILES_N * G::BN), n = number % (G::TILES_N * G::BN);
    float largest = 0.0f;
    if (n < G::N)
        for (i32 at = (i32)lane; at < OF_CHANNEL; at += 32)
            largest = fmaxf(largest, fabsf((float)weights[(group * G::N + n) * OF_CHANNEL + at]));
#pragma unroll
    for (i32 mask = 16; mask > 0; mask >>= 1) largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, mask));
    if (lane == 0u) ((float*)((u8*)to + G::SCALES_AT))[number] = largest == 0.0f ? 1.0f : largest / 127.0f;
}

// Weights in the order of slices: [group][tile of columns][slice][column][k], for warpgroups [slice][chunk of k][column], zero
// where there are none. A chunk a thread.
template <class G> SN_DEV void sn_pack(const typename G::Weight* weights, typename G::S* to) {
    typedef typename G::S S;
    constexpr i32 LEN = sn_chunk<S>::LEN, TAPS = G::KERNEL_H * G::KERNEL_W;
    const i64 number = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (number >= (i64)G::GROUPS * G::TILES_N * G::SLICES * G::BN * 4) return;
    const i32 in_slice = (i32)(number % (4 * G::BN)), slice = (i32)(number / (4 * G::BN) % G::SLICES);
    const i32 chunk = G::WARPGROUPS ? in_slice / G::BN : in_slice % 4, row = G::WARPGROUPS ? in_slice % G::BN : in_slice / 4;
    const i32 tile = (i32)(number / (4 * G::BN) / G::SLICES), group = tile / G::TILES_N;
    const i32 n = tile % G::TILES_N * G::BN + row;
    sn_chunk<S> packed;
#pragma unroll
    for (i32 l = 0; l < LEN; ++l) {
        i32 tap, c;
        if (G::BY_TAP) {
            tap = slice / G::SLICES_OF_TAP;
            c = slice % G::SLICES_OF_TAP * (4 * LEN) + sn_element_of<G>(chunk, l);
        } else {
            const i32 k = slice * (4 * LEN) + chunk * LEN + l;
            tap = k / G::C;
            c = k % G::C;
        }
        typename G::Sum value = 0;
        if (n < G::N && tap < TAPS && c < G::C) {
            const i64 o = G::KIND == SN_FORWARD ? group * (i64)G::N + n : group * (i64)G::C + c;
            const i64 i = G::KIND == SN_FORWARD ? c : n;
            value = weights[(o * (G::KIND == SN_FORWARD ? G::C : G::N) + i) * TAPS + tap];
            if constexpr (G::INT8) value /= ((const float*)((const u8*)to + G::SCALES_AT))[(i64)tile * G::BN + row];
        }
        sn_assign(packed.at[l], value);
    }
    ((sn_chunk<S>*)to)[number] = packed;
}
