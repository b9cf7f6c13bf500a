// What all products of contractions share: element types, the places that a tap of the kernel reads, tiles of operands.
//
// Every contraction is out[m][n] = sum over k of a[m][k] * b[n][k]. Both operands stand in shared memory as slices of 64
// bytes along k: 64 elements of 8 bits, 32 of half precision, 16 of single, 8 of double.

// Types of elements where they differ from those of memory.
struct sn_f16 { u16 bits; };
struct sn_bf16 { u16 bits; };
struct sn_tf32 { u32 bits; };
// A whole number from -127 to 127.
struct sn_s8 { signed char bits; };

SN_DEV float sn_number(float x) { return x; }
SN_DEV double sn_number(double x) { return x; }
SN_DEV float sn_number(sn_f16 x) { return sn_f16_to_f32(x.bits); }
SN_DEV float sn_number(sn_bf16 x) { return sn_bf16_to_f32(x.bits); }
SN_DEV void sn_assign(float& to, float x) { to = x; }
SN_DEV void sn_assign(double& to, double x) { to = x; }
SN_DEV void sn_assign(sn_f16& to, float x) { to.bits = sn_f32_to_f16(x); }
SN_DEV void sn_assign(sn_bf16& to, float x) { to.bits = sn_f32_to_bf16(x); }
SN_DEV void sn_assign(sn_tf32& to, float x) { to.bits = sn_f32_to_tf32(x); }
SN_DEV void sn_assign(sn_s8& to, float x) { to.bits = (signed char)(i32)(x + (x < 0.0f ? -0.5f : 0.5f)); }

// An element of memory as one of a slice.
template <class T> SN_DEV void sn_bring(T& to, T from) { to = from; }
template <class T, class E> SN_DEV void sn_bring(T& to, E from) { sn_assign(to, sn_number(from)); }

// 16 bytes, what a thread moves at once.
template <class S> struct alignas(16) sn_chunk {
    static constexpr i32 LEN = 16 / (i32)sizeof(S);
    S at[LEN];
};
struct alignas(16) sn_quad { u32 x[4]; };
// N elements that are loaded together.
template <class E, i32 N> struct alignas(sizeof(E) * N) sn_vector { E at[N]; };

// Where chunk `at` of a row lies in a slice: neighboring rows lie in different banks for every way in which warps read them.
SN_DEV u32 sn_place(u32 row, u32 at) { return row * 4u + (at ^ ((row >> 1) & 3u)); }

SN_DEV float sn_fma(float a, float b, float c) { return fmaf(a, b, c); }
SN_DEV double sn_fma(double a, double b, double c) { return fma(a, b, c); }
template <bool C, class T, class F> struct sn_select { typedef T type; };
template <class T, class F> struct sn_select<false, T, F> { typedef F type; };

enum { SN_FORWARD, SN_INPUT_GRADIENT, SN_WEIGHT_GRADIENT };

// A result's pixel: the first of its image in the source and the place in it that an offset of a tap leads away from.
struct sn_origin { i64 image; i32 y, x; };
constexpr i32 SN_OUTSIDE = -0x40000000;

// Pixels along an axis whose position is `phase` modulo the stride.
SN_DEV i32 sn_in_phase(i32 len, i32 phase, i32 stride) { return (len - phase + stride - 1) / stride; }

// Where the result's pixel number `m` reads, `phase` being that of an input's gradient.
template <class G> SN_DEV sn_origin sn_origin_of(i64 m, bool is_there, i32 phase_y, i32 phase_x) {
    typedef typename G::Index Index;
    sn_origin o;
    if (!is_there) { o.image = 0; o.y = o.x = SN_OUTSIDE; return o; }
    if (G::KIND == SN_INPUT_GRADIENT) {
        const Index h = sn_in_phase(G::RESULT_H, phase_y, G::STRIDE_H), w = sn_in_phase(G::RESULT_W, phase_x, G::STRIDE_W);
        const Index row = (Index)m / w, image = row / h;
        o.x = (i32)((Index)m - row * w);
        o.y = (i32)(row - image * h);
        o.image = (i64)image * (G::SOURCE_H * G::SOURCE_W);
    } else {
        const Index row = (Index)m / G::RESULT_W, image = row / G::RESULT_H;
        o.x = (i32)((Index)m - row * G::RESULT_W) * G::STRIDE_W - G::PAD_W;
        o.y = (i32)(row - image * G::RESULT_H) * G::STRIDE_H - G::PAD_H;
        o.image = (i64)image * (G::SOURCE_H * G::SOURCE_W);
    }
    return o;
}

// What a row of a tile is: a pixel, at one of the steps of time whose sums stay side by side in a thread's registers.
struct sn_row { i64 pixel; i64 step; };
template <class G> SN_DEV sn_row sn_row_of(i64 first, u32 row) {
    if (G::STEPS == 1) return {first + row, 0};
    return {first + row / (16u * G::STEPS) * 16u + row % 16u, row / 16u % G::STEPS};
}

// What a tap adds to an origin.
struct sn_offset { i32 y, x; bool is_there; };

template <class G> SN_DEV sn_offset sn_offset_of(i32 tap, i32 phase_y, i32 phase_x) {
    const i32 kh = tap / G::KERNEL_W, kw = tap - kh * G::KERNEL_W;
    sn_offset o;
    o.is_there = tap < G::KERNEL_H * G::KERNEL_W;
    o.y = kh * G::DILATION_H;
    o.x = kw * G::DILATION_W;
    if (G::KIND == SN_INPUT_GRADIENT) {
        const i32 y = phase_y + G::PAD_H - o.y, x = phase_x + G::PAD_W - o.x;
        o.is_there = o.is_there && y % G::STRIDE_H == 0 && x % G::STRIDE_W == 0;
        o.y = y / G::STRIDE_H;
        o.x = x / G::STRIDE_W;
    }
    return o;
}

// The source's pixel, -1 outside of the image.
template <class G> SN_DEV i64 sn_source(const sn_origin& o, const sn_offset& tap) {
    const i32 y = o.y + tap.y, x = o.x + tap.x;
    const bool is_inside = tap.is_there && (u32)y < (u32)G::SOURCE_H && (u32)x < (u32)G::SOURCE_W;
    return is_inside ? o.image + (i64)y * G::SOURCE_W + x : -1;
}

// The pixel that a result is stored at.
template <class G> SN_DEV i64 sn_destination(i64 m, i32 phase_y, i32 phase_x) {
    typedef typename G::Index Index;
    if (G::KIND != SN_INPUT_GRADIENT || G::STRIDE_H * G::STRIDE_W == 1) return m;
    const Index h = sn_in_phase(G::RESULT_H, phase_y, G::STRIDE_H), w = sn_in_phase(G::RESULT_W, phase_x, G::STRIDE_W);
    const Index row = (Index)m / w, image = row / h;
    const i64 x = phase_x + (i64)((Index)m - row * w) * G::STRIDE_W, y = phase_y + (i64)(row - image * h) * G::STRIDE_H;
    return ((i64)image * G::RESULT_H + y) * G::RESULT_W + x;
}

// Which element of a slice's k element `at` of a chunk is: whatever products are fed from the two sides in the same order.
template <class G> SN_DEV i32 sn_element_of(i32 chunk, i32 at) {
    constexpr i32 LEN = sn_chunk<typename G::S>::LEN;
    if (G::INT8 && G::WARPGROUPS) return 32 * (chunk >> 1) + 8 * (at & 3) + 2 * (at >> 2) + (chunk & 1);
    if (G::INT8) return 32 * (at >> 3) + 8 * (at & 3) + 2 * chunk + (at >> 2 & 1);
    if (G::WARPGROUPS && !G::WORDS) return 8 * (at >> 1) + 2 * chunk + (at & 1);
    if (G::WARPGROUPS) return 4 * (at >> 1) + chunk + 16 * (at & 1);
    return G::WORDS && LEN == 8 ? 4 * chunk + (at >> 1) + 16 * (at & 1) : chunk * LEN + at;
}

// Whether a weight's gradient has taps times channels of spikes as rows and the output's channels as columns.
template <class G> constexpr bool sn_is_turned = G::KIND == SN_WEIGHT_GRADIENT && G::WORDS;

// A spike as a number.
SN_DEV float sn_spike(const u32* words, i64 at) { return (words[at >> 5] >> (at & 31)) & 1u ? 1.0f : 0.0f; }

// An element of a source, spikes or numbers.
template <class G> SN_DEV typename G::Sum sn_element(const typename G::A* a, i64 at) {
    if constexpr (G::PACKED) return (typename G::Sum)sn_spike((const u32*)a, at);
    else return (typename G::Sum)sn_number(a[at]);
}
