// How operands come into shared memory. A stager's `fetch` starts to bring its part of a slice, `settle` finishes it; in
// between the block computes. What is copied asynchronously needs no `settle`.

// Weights that `sn_pack` has put in the order of slices: whole chunks, nothing outside.
template <class G> struct sn_weights {
    typedef typename G::S S;
    const sn_quad* from;
    SN_DEV void begin(const typename G::B* weights, i64 tile) {
        from = (const sn_quad*)weights + tile * G::SLICES * G::BN * 4;
    }
    SN_DEV void fetch(i32 slice, sn_quad* to) {
#pragma unroll
        for (u32 at = 0; at < G::BN * 4; at += G::THREADS) {
            const u32 c = at + threadIdx.x;
            if (G::BN * 4 % G::THREADS == 0 || c < G::BN * 4)
                sn_cp_async_16(to + (G::WARPGROUPS ? c : sn_place(c >> 2, c & 3u)), from + (i64)slice * (G::BN * 4) + c, true);
        }
    }
    SN_DEV void settle(sn_quad*) {}
};

// Rows are pixels of the result, slices are channels of a tap of their source.
template <class G> struct sn_gather {
    typedef typename G::S S;
    typedef typename G::A A;
    static constexpr i32 LEN = sn_chunk<S>::LEN;
    static constexpr u32 COUNT = (G::BM * 4 + G::THREADS - 1) / G::THREADS;
    const A* a;
    i32 group, phase_y, phase_x;
    sn_origin origin[COUNT];
    sn_chunk<S> held[COUNT];

    SN_DEV void begin(const A* source, i64 first, i64 rows, i32 of_group, i32 y, i32 x) {
        a = source; group = of_group; phase_y = y; phase_x = x;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 row = (i * G::THREADS + threadIdx.x) >> 2;
            const sn_row at = sn_row_of<G>(first, row);
            origin[i] = sn_origin_of<G>(at.pixel + at.step * G::PIXELS, row < G::BM && at.pixel < rows, y, x);
        }
    }
    SN_DEV void fetch(i32 slice, sn_quad* to) {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 c = i * G::THREADS + threadIdx.x;
            if (G::BM * 4 % G::THREADS != 0 && c >= G::BM * 4) break;
            if constexpr (G::BY_TAP) chunk_of_tap(i, slice, c, to); else chunk_of_any(i, slice, c);
        }
    }
    SN_DEV void settle(sn_quad* to) {
        if (G::ASYNC) return;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 c = i * G::THREADS + threadIdx.x;
            if (G::BM * 4 % G::THREADS != 0 && c >= G::BM * 4) break;
            ((sn_chunk<S>*)to)[sn_place(c >> 2, c & 3u)] = held[i];
        }
    }
    // All elements of a slice are channels of the same tap.
    SN_DEV void chunk_of_tap(u32 i, i32 slice, u32 c, sn_quad* to) {
        const i32 tap = slice / G::SLICES_OF_TAP, channel = (slice - tap * G::SLICES_OF_TAP) * (4 * LEN) + (i32)(c & 3u) * LEN;
        const i64 pixel = sn_source<G>(origin[i], sn_offset_of<G>(tap, phase_y, phase_x));
        const i64 from = pixel * G::SOURCE_PITCH + group * G::C + channel;
        if constexpr (G::ASYNC) {
            const bool is_there = pixel >= 0 && channel < G::C;
            sn_cp_async_16(to + sn_place(c >> 2, c & 3u), is_there ? a + from : a, is_there);
        } else if constexpr (G::PACKED && G::IS_WHOLE) {
            const u32 word = pixel >= 0 && channel < G::C ? ((const u32*)a)[from >> 5] >> (from & 31) : 0u;
#pragma unroll
            for (i32 l = 0; l < LEN; ++l) sn_assign(held[i].at[l], channel + l < G::C && (word >> l & 1u) ? 1.0f : 0.0f);
        } else if constexpr (G::PACKED) {
#pragma unroll
            for (i32 l = 0; l < LEN; ++l)
                sn_assign(held[i].at[l], pixel >= 0 && channel + l < G::C ? sn_spike((const u32*)a, from + l) : 0.0f);
        } else {
#pragma unroll
            for (i32 l = 0; l < LEN; l += G::VECTOR) {
                sn_vector<A, G::VECTOR> part = {};
                if (pixel >= 0 && channel + l < G::C) part = *(const sn_vector<A, G::VECTOR>*)(a + from + l);
#pragma unroll
                for (i32 v = 0; v < G::VECTOR; ++v) sn_bring(held[i].at[l + v], part.at[v]);
            }
        }
    }
    // Few channels: taps and channels are counted through.
    SN_DEV void chunk_of_any(u32 i, i32 slice, u32 c) {
        const i32 first = slice * (4 * LEN) + (i32)(c & 3u) * LEN;
#pragma unroll
        for (i32 l = 0; l < LEN; ++l) {
            const i32 k = first + l, tap = k / G::C;
            const i64 pixel = sn_source<G>(origin[i], sn_offset_of<G>(tap, phase_y, phase_x));
            sn_assign(held[i].at[l], pixel < 0 ? (typename G::Sum)0
                : sn_element<G>(a, pixel * G::SOURCE_PITCH + group * G::C + (k - tap * G::C)));
        }
    }
};

// The same of spikes that stay bits: a word of 32 channels a row, or two where a slice has as many, which the product turns
// into numbers in registers.
template <class G> struct sn_gather_words {
    static constexpr i32 IN_SLICE = 4 * sn_chunk<typename G::S>::LEN, WORDS = (IN_SLICE + 31) / 32;
    static constexpr u32 COUNT = (G::BM + G::THREADS - 1) / G::THREADS;
    const u32* words;
    i32 first_word, phase_y, phase_x;
    sn_origin origin[COUNT];
    // Of the tap whose pixels these are, a pixel's first word; negative outside.
    i32 tap;
    i64 from[COUNT];
    SN_DEV void begin(const typename G::A* source, i64 first, i64 rows, i32 group, i32 y, i32 x) {
        words = (const u32*)source; first_word = group * G::C / 32; phase_y = y; phase_x = x; tap = -1;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 row = i * G::THREADS + threadIdx.x;
            const sn_row at = sn_row_of<G>(first, row);
            origin[i] = sn_origin_of<G>(at.pixel + at.step * G::PIXELS, row < G::BM && at.pixel < rows, y, x);
        }
    }
    SN_DEV void fetch(i32 slice, sn_quad* to) {
        if (slice / G::SLICES_OF_TAP != tap) {
            tap = slice / G::SLICES_OF_TAP;
            const sn_offset offset = sn_offset_of<G>(tap, phase_y, phase_x);
#pragma unroll
            for (u32 i = 0; i < COUNT; ++i) from[i] = sn_source<G>(origin[i], offset) * (G::SOURCE_PITCH / 32);
        }
        const i32 word = first_word + (slice - tap * G::SLICES_OF_TAP) * IN_SLICE / 32;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 row = i * G::THREADS + threadIdx.x;
            if (G::BM % G::THREADS != 0 && row >= G::BM) break;
            const bool is_there = from[i] >= 0;
            const u32* const first = is_there ? words + (from[i] + word) : words;
#pragma unroll
            for (i32 w = 0; w < WORDS; ++w) sn_cp_async_4((u32*)to + row * WORDS + w, is_there ? first + w : first, is_there);
        }
    }
    SN_DEV void settle(sn_quad*) {}
};
