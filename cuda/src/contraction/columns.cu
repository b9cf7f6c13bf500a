// Operands of a weight's gradient: rows are channels, slices are pixels of the output. Threads of a warp lie along the
// channels, so that they read whole lines of memory, and turn what they read over when they store it.

// Output's gradient (`OF_INPUT` false) or input, whose rows are taps times channels.
template <class G, bool OF_INPUT> struct sn_columns {
    typedef typename G::S S;
    typedef typename sn_select<OF_INPUT, typename G::A, typename G::B>::type E;
    static constexpr i32 LEN = sn_chunk<S>::LEN;
    static constexpr bool BITS = OF_INPUT && G::PACKED;
    static constexpr i32 WIDTH = OF_INPUT ? G::VECTOR : G::VECTOR_B;      // channels that are loaded together
    static constexpr u32 ROWS = OF_INPUT ? G::BN : G::BM, UNITS = ROWS / WIDTH * 4;
    static constexpr u32 COUNT = (UNITS + G::THREADS - 1) / G::THREADS;
    const E* e;
    i64 channel[COUNT];
    sn_offset offset[COUNT];
    sn_chunk<S> held[COUNT][WIDTH];

    SN_DEV void begin(const E* elements, i32 group, i32 first) {
        e = elements;
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const i32 row = first + (i32)((i * G::THREADS + threadIdx.x) % (ROWS / WIDTH)) * WIDTH;
            if (OF_INPUT) {
                const i32 tap = row / G::C;
                offset[i] = sn_offset_of<G>(tap, 0, 0);
                channel[i] = group * G::C + (row - tap * G::C);
            } else {
                offset[i].y = offset[i].x = 0;
                offset[i].is_there = row < G::M;
                channel[i] = group * G::M + row;
            }
        }
    }
    SN_DEV void fetch(i32 slice, sn_quad*) {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 unit = i * G::THREADS + threadIdx.x;
            if (UNITS % G::THREADS != 0 && unit >= UNITS) break;
            i64 pixel = (i64)slice * (4 * LEN) + unit / (ROWS / WIDTH) * LEN;
            sn_origin origin = sn_origin_of<G>(pixel, OF_INPUT && !G::POINTWISE, 0, 0);
#pragma unroll
            for (i32 l = 0; l < LEN; ++l, ++pixel) {
                const bool is_pixel = offset[i].is_there && pixel < G::PIXELS;
                if (!OF_INPUT || G::POINTWISE) {
                    load(i, l, is_pixel ? pixel : -1);
                } else {
                    load(i, l, is_pixel ? sn_source<G>(origin, offset[i]) : -1);
                    step(origin);
                }
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
    SN_DEV void load(u32 i, i32 l, i64 pixel) {
        const i64 from = pixel * (OF_INPUT ? G::SOURCE_PITCH : G::RESULT_PITCH) + channel[i];
        if constexpr (BITS) {
            sn_assign(held[i][0].at[l], pixel >= 0 ? (typename G::Sum)sn_spike((const u32*)e, from) : (typename G::Sum)0);
        } else {
            sn_vector<E, WIDTH> part = {};
            if (pixel >= 0) part = *(const sn_vector<E, WIDTH>*)(e + from);
#pragma unroll
            for (i32 v = 0; v < WIDTH; ++v) sn_assign(held[i][v].at[l], sn_number(part.at[v]));
        }
    }
    SN_DEV void settle(sn_quad* to) {
#pragma unroll
        for (u32 i = 0; i < COUNT; ++i) {
            const u32 unit = i * G::THREADS + threadIdx.x;
            if (UNITS % G::THREADS != 0 && unit >= UNITS) break;
#pragma unroll
            for (u32 v = 0; v < WIDTH; ++v)
                ((sn_chunk<S>*)to)[sn_place(unit % (ROWS / WIDTH) * WIDTH + v, unit / (ROWS / WIDTH))] = held[i][v];
        }
    }
};
