// What lanes of a warp do together.
#include "runtime.h"

namespace snn {

u32 lane() { return self().lane; }

static void nothing(Warp&, void* const (&)[LANES], u32, Site) {}

void sync_warp(u32 mask, Site site) { meet(mask, nothing, nullptr, site); }

static void exchange(Warp&, void* const (&parts)[LANES], u32 mask, Site site) {
    u64 values[LANES] = {};
    for (u32 l = 0; l < LANES; ++l)
        if (mask >> l & 1u) memcpy(&values[l], ((Shuffle*)parts[l])->value, ((Shuffle*)parts[l])->size);
    for (u32 l = 0; l < LANES; ++l) {
        if (!(mask >> l & 1u)) continue;
        Shuffle& part = *(Shuffle*)parts[l];
        if (!(mask >> part.from & 1u)) fail("a shuffle reads a lane that does not take part", site);
        memcpy(part.value, &values[part.from], part.size);
    }
}

void shuffle(u32 mask, Shuffle& part, Site site) { meet(mask, exchange, &part, site); }

template <class F> static void reduce_all(void* const (&parts)[LANES], u32 mask, u32 start, F join) {
    u32 result = start;
    for (u32 l = 0; l < LANES; ++l)
        if (mask >> l & 1u) result = join(result, ((Count*)parts[l])->mine, l);
    for (u32 l = 0; l < LANES; ++l)
        if (mask >> l & 1u) ((Count*)parts[l])->result = result;
}
static void ballot(Warp&, void* const (&parts)[LANES], u32 mask, Site) {
    reduce_all(parts, mask, 0, [](u32 all, u32 mine, u32 lane) { return all | mine << lane; });
}
static void add(Warp&, void* const (&parts)[LANES], u32 mask, Site) {
    reduce_all(parts, mask, 0, [](u32 all, u32 mine, u32) { return all + mine; });
}
static void least(Warp&, void* const (&parts)[LANES], u32 mask, Site) {
    reduce_all(parts, mask, ~0u, [](u32 all, u32 mine, u32) { return mine < all ? mine : all; });
}
static void greatest(Warp&, void* const (&parts)[LANES], u32 mask, Site) {
    reduce_all(parts, mask, 0, [](u32 all, u32 mine, u32) { return mine > all ? mine : all; });
}

u32 reduce(Reduction kind, u32 mask, u32 mine, Site site) {
    Count part{mine, 0};
    const Together what[] = {ballot, add, least, greatest};
    meet(mask, what[(u32)kind], &part, site);
    return part.result;
}

// Elements of 32-bit registers as numbers.
template <Element E> struct Of;
template <> struct Of<Element::f16> {
    typedef float Number;
    static constexpr u32 count = 2;
    static float at(u32 word, u32 e) { return sn_f16_to_f32((unsigned short)(word >> 16 * e)); }
};
template <> struct Of<Element::bf16> {
    typedef float Number;
    static constexpr u32 count = 2;
    static float at(u32 word, u32 e) { return sn_bf16_to_f32((unsigned short)(word >> 16 * e)); }
};
template <> struct Of<Element::tf32> {
    typedef float Number;
    static constexpr u32 count = 1;
    // The product does not look at bits that tf32 does not have.
    static float at(u32 word, u32) { return __uint_as_float(word & 0xffffe000u); }
};
template <> struct Of<Element::s8> {
    typedef int Number;
    static constexpr u32 count = 4;
    static int at(u32 word, u32 e) { return (signed char)(word >> 8 * e); }
};

// 16 rows of a, as lanes hold them.
template <Element E> struct Rows {
    static constexpr u32 K = 8 * Of<E>::count;
    typename Of<E>::Number at[16][K];
    void take(u32 lane, const u32* registers) {
        constexpr u32 n = Of<E>::count;
        const u32 g = lane / 4, q = lane % 4;
        for (u32 r = 0; r < 4; ++r)
            for (u32 e = 0; e < n; ++e) at[g + 8 * (r % 2)][n * q + 4 * n * (r / 2) + e] = Of<E>::at(registers[r], e);
    }
};

template <Element E> static void multiply_all(Warp&, void* const (&parts)[LANES], u32 mask, Site site) {
    typedef typename Of<E>::Number Number;
    constexpr u32 n = Of<E>::count, K = 8 * n;
    if (mask != ~0u) fail("a product needs all lanes of a warp", site);
    Rows<E> a;
    Number b[8][K];
    for (u32 l = 0; l < LANES; ++l) {
        const Product& part = *(const Product*)parts[l];
        a.take(l, (const u32*)part.a);
        for (u32 r = 0; r < 2; ++r)
            for (u32 e = 0; e < n; ++e) b[l / 4][n * (l % 4) + 4 * n * r + e] = Of<E>::at(((const u32*)part.b)[r], e);
    }
    for (u32 l = 0; l < LANES; ++l) {
        Number* d = (Number*)((const Product*)parts[l])->d;
        for (u32 i = 0; i < 4; ++i) {
            const Number *row = a.at[l / 4 + 8 * (i / 2)], *column = b[2 * (l % 4) + i % 2];
            for (u32 k = 0; k < K; ++k) d[i] += row[k] * column[k];
        }
    }
}

void multiply(const Product& part, Site site) {
    const Together what[] = {multiply_all<Element::f16>, multiply_all<Element::bf16>, multiply_all<Element::tf32>,
                             multiply_all<Element::s8>};
    meet(~0u, what[(u32)part.element], const_cast<Product*>(&part), site);
}

template <Element E> static void finish(const Pending& p) {
    typedef typename Of<E>::Number Number;
    constexpr u32 n = Of<E>::count, K = 8 * n;
    Rows<E> a;
    for (u32 l = 0; l < LANES; ++l) a.take(l, p.a[l]);
    static Number b[128][K];
    const u32 columns = p.lanes[0].columns;
    const unsigned char* from = (const unsigned char*)p.lanes[0].b;
    for (u32 column = 0; column < columns; ++column)
        for (u32 k = 0; k < K; k += n) {
            u32 word;
            memcpy(&word, from + k / (K / 2) * columns * 16 + column * 16 + k % (K / 2) * 4 / n, 4);
            for (u32 e = 0; e < n; ++e) b[column][k + e] = Of<E>::at(word, e);
        }
    for (u32 l = 0; l < LANES; ++l) {
        Number* d = (Number*)p.lanes[l].d;
        for (u32 j = 0; j < columns / 8; ++j)
            for (u32 i = 0; i < 4; ++i) {
                const Number *row = a.at[l / 4 + 8 * (i / 2)], *column = b[8 * j + 2 * (l % 4) + i % 2];
                for (u32 k = 0; k < K; ++k) d[4 * j + i] += row[k] * column[k];
            }
    }
}

static void finish(const Pending& p) {
    switch (p.lanes[0].element) {
    case Element::f16: return finish<Element::f16>(p);
    case Element::bf16: return finish<Element::bf16>(p);
    case Element::tf32: return;
    case Element::s8: return finish<Element::s8>(p);
    }
}

static void finish_before(Warp& warp, u32 group) {
    u32 kept = 0;
    for (Pending& p : warp.products) {
        if (p.group < group) finish(p);
        else warp.products[kept++] = p;
    }
    warp.products.resize(kept);
}

static void start_product(Warp& warp, void* const (&parts)[LANES], u32, Site site) {
    if (threads.size() % 128 != 0) fail("wgmma needs whole groups of four warps", site);
    if (!warp.is_fenced) fail("wgmma without a fence since the last commit", site);
    Pending p;
    for (u32 l = 0; l < LANES; ++l) {
        p.lanes[l] = *(const Product*)parts[l];
        memcpy(p.a[l], p.lanes[l].a, 16);
        if (p.lanes[l].b != p.lanes[0].b) fail("lanes give wgmma different tiles", site);
    }
    if ((u64)p.lanes[0].b % 16 != 0) fail("wgmma's tile is not aligned to 16 bytes", site);
    if (p.lanes[0].columns > 128) fail("wgmma of more columns than are known", site);
    check_shared(p.lanes[0].b, p.lanes[0].columns * 32, "wgmma reads", site);
    p.group = warp.product_groups;
    warp.products.push_back(p);
    if (schedule.is_early()) finish_before(warp, ~0u);
}

static void fence_products(Warp& warp, void* const (&)[LANES], u32, Site) { warp.is_fenced = true; }
static void commit_products(Warp& warp, void* const (&)[LANES], u32, Site) {
    ++warp.product_groups;
    warp.is_fenced = false;
}
static void wait_for_products(Warp& warp, void* const (&parts)[LANES], u32, Site) {
    const u32 left = *(const u32*)parts[0];
    if (warp.product_groups >= left) finish_before(warp, warp.product_groups - left);
}

void wgmma_fence(Site site) { meet(~0u, fence_products, nullptr, site); }
void wgmma(const Product& part, Site site) { meet(~0u, start_product, const_cast<Product*>(&part), site); }
void wgmma_commit(Site site) { meet(~0u, commit_products, nullptr, site); }
void wgmma_wait(u32 left, Site site) { meet(~0u, wait_for_products, &left, site); }

}  // namespace snn
