// Operands of a weight's gradient: rows are channels, slices are pixels of the output. Threads of a warp lie along the
// channels, so that they read whole lines of memory, and turn what they read over when they store it.

// The output's gradient (`OF_INPUT` false) or the input, whose rows are taps times channels.
template <class G, bool OF_INPUT> struct sn_columns {
    typedef typename G::S S;
    typedef typename sn_select<OF_INPUT, typename G::A, typename G::B>::type E;
    static constexpr i32 LEN = sn_chunk<S>::LEN;
    static constexpr bool BITS = OF_INPUT && G::PACKED;
    static constexpr i32 WIDTH = OF_INPUT ? G::VECTOR : G::VECTOR_B;      // channels that are loaded together
    static constexpr bool IS_RIGHT = OF_INPUT || sn_is_turned<G>;
    static constexpr u32 ROWS = IS_RIGHT ? G::BN : G::BM, UNITS = ROWS / WIDTH * 4;
    static constexpr u32 COUNT = (UNITS + G::THREADS - 1) / G::THREADS;
    const E* e;
    i64 channel[COUNT];
    sn_offset offset[COUNT];
    sn_chunk<S> held[COUNT][WIDTH];

    SN_DEV void begin(const void* elements, i32 group, i32 first) {
        constexpr i32 LAST = IS_RIGHT ? G::N : G::M;
        e = (const E*)elements;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const i32 row = first + (i32)((i * G::THREADS + threadIdx.x) % (ROWS / WIDTH)) * WIDTH;
            if (OF_INPUT) {
                const i32 tap = row / G::C;
                offset[i] = sn_offset_of<G>(tap, 0, 0);
                channel[i] = group * G::C + (row - tap * G::C);
            } else {
                offset[i].y = offset[i].x = 0;
                offset[i].is_there = LAST % ROWS == 0 || row < LAST;
                channel[i] = group * LAST + row;
            }
        }
    }
    SN_DEV void fetch(i32 slice, sn_quad*) {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 unit = i * G::THREADS + threadIdx.x;
            if (UNITS % G::THREADS != 0 && unit >= UNITS) break;
            const i64 first = (i64)slice * (4 * LEN);
            const i32 chunk = (i32)(unit / (ROWS / WIDTH));
            if constexpr (OF_INPUT) input(i, first + chunk * LEN);
            else output(i, first, chunk);
        }
    }
    // Elements of a chunk are as far from each other in every chunk: their addresses differ by what is known here.
    SN_DEV void output(u32 i, i64 first, i32 chunk) {
        const E* const from = e + (first + sn_element_of<G>(chunk, 0)) * G::RESULT_PITCH + channel[i];
#pragma unroll
        for (i32 l = 0; l < LEN; ++l) {
            const bool is_pixel = G::PIXELS % (4 * LEN) == 0 || first + sn_element_of<G>(chunk, l) < G::PIXELS;
            load(i, l, from + sn_element_of<G>(0, l) * G::RESULT_PITCH, is_pixel && offset[i].is_there);
        }
    }
    SN_DEV void input(u32 i, i64 pixel) {
        sn_origin origin = sn_origin_of<G>(pixel, !G::POINTWISE, 0, 0);
#pragma unroll
        for (i32 l = 0; l < LEN; ++l, ++pixel) {
            i64 from = offset[i].is_there && pixel < G::PIXELS ? pixel : -1;
            if (!G::POINTWISE) {
                if (from >= 0) from = sn_source<G>(origin, offset[i]);
                step(origin);
            }
            const i64 at = from * G::SOURCE_PITCH + channel[i];
            if constexpr (BITS) {
                sn_assign(held[i][0].at[l], from >= 0 ? (typename G::Sum)sn_spike((const u32*)e, at) : (typename G::Sum)0);
            } else {
                load(i, l, e + at, from >= 0);
            }
        }
    }
    // On to the next pixel of the output.
    static SN_DEV void step(sn_origin& o) {
        o.x += G::STRIDE_W;
        if (o.x < G::RESULT_W * G::STRIDE_W - G::PAD_W) return;
        o.x = -G::PAD_W;
        o.y += G::STRIDE_H;
        if (o.y < G::RESULT_H * G::STRIDE_H - G::PAD_H) return;
        o.y = -G::PAD_H;
        o.image += G::SOURCE_H * G::SOURCE_W;
    }
    SN_DEV void load(u32 i, i32 l, const E* from, bool is_there) {
        sn_vector<E, WIDTH> part = {};
        if (is_there) part = *(const sn_vector<E, WIDTH>*)from;
#pragma unroll
        for (i32 v = 0; v < WIDTH; ++v) sn_bring(held[i][v].at[l], part.at[v]);
    }
    SN_DEV void settle(sn_quad* to) {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 unit = i * G::THREADS + threadIdx.x;
            if (UNITS % G::THREADS != 0 && unit >= UNITS) break;
#pragma unroll
            for (u32 v = 0; v < WIDTH; ++v) {
                const u32 row = unit % (ROWS / WIDTH) * WIDTH + v, chunk = unit / (ROWS / WIDTH);
                ((sn_chunk<S>*)to)[G::WARPGROUPS ? chunk * ROWS + row : sn_place(row, chunk)] = held[i][v];
            }
        }
    }
};

// Turns 32 words of 32 bits over, one a lane: bit `l` of the result is the lane's bit of what lane `l` gives.
SN_DEV u32 sn_turn(u32 word, u32 lane) {
    constexpr u32 LOW[5] = {0x55555555u, 0x33333333u, 0x0f0f0f0fu, 0x00ff00ffu, 0x0000ffffu};
#pragma unroll
    for (i32 at = 4; at >= 0; --at) {
        const u32 step = 1u << at, other = __shfl_xor_sync(0xffffffffu, word, step);
        // To the left in lanes that keep the lower bits, to the right in others.
        const u32 kept = LOW[at] << (lane & step), by = lane & step ? 32u - step : step;
        word = (word & kept) | ((other << by | other >> (32u - by)) & ~kept);
    }
    return word;
}

// Spikes of the input, 32 channels of a tap as rows. A lane reads a pixel's word of them; turned over, it is a channel's bits
// of 32 pixels, which stay bits until they are multiplied.
template <class G> struct sn_turned {
    static constexpr u32 COUNT = (G::BM + G::THREADS - 1) / G::THREADS;
    static constexpr i32 IN_SLICE = 4 * sn_chunk<typename G::S>::LEN;
    const u32* words;
    i32 word[COUNT];
    sn_offset offset[COUNT];
    u32 held[COUNT];

    SN_DEV void begin(const void* spikes, i32 group, i32 first) {
        words = (const u32*)spikes;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const i32 row = first + (i32)((i * G::THREADS + threadIdx.x) & ~31u), tap = row / G::C;
            offset[i] = sn_offset_of<G>(tap, 0, 0);
            word[i] = (group * G::C + (row - tap * G::C)) / 32;
        }
    }
    SN_DEV void fetch(i32 slice, sn_quad*) {
        const i64 pixel = (i64)slice * IN_SLICE / 32 * 32 + (threadIdx.x & 31u);
        const bool is_pixel = pixel < G::PIXELS;
        const sn_origin origin = sn_origin_of<G>(pixel, is_pixel && !G::POINTWISE, 0, 0);
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const i64 from = !G::POINTWISE ? sn_source<G>(origin, offset[i]) : is_pixel && offset[i].is_there ? pixel : -1;
            held[i] = from >= 0 ? words[from * (G::SOURCE_PITCH / 32) + word[i]] : 0u;
        }
    }
    SN_DEV void settle(sn_quad* to) {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 row = i * G::THREADS + threadIdx.x;
            if (G::BM % G::THREADS != 0 && row >= G::BM) break;
            ((u32*)to)[row] = sn_turn(held[i], threadIdx.x & 31u);
        }
    }
};
