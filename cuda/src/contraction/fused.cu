// A forward contraction whose sums of all steps of time go straight on to the neurons: a thread holds them for each of its
// pixels and channels, runs the neuron and packs its spikes. What the contraction computes never reaches memory.

// Bits of neighboring channels become words, channel c of a pixel in bit c % 32 of word c / 32.
template <class G> struct sn_spikes {
    u32* words;
    // Address of a pixel's word at a step.
    SN_DEV u32* at(i32 plane, i64 pixel, i32 word) const {
        return words + ((i64)plane * G::PIXELS + pixel) * (G::SPIKE_PITCH / 32) + word;
    }
};

// A lane's spikes of four steps, those of step t in byte t as bits 2 j + e, become words: lane q of a row's four gets that of step
// q, channel 8 j + 2 q' + e of it from lane q'. Bytes change places between lanes, then pairs of bits within.
SN_DEV u32 sn_words_of_steps(u32 own, u32 quarter) {
    const u32 halves = 0x0000ffffu << (8u * (quarter & 2u)), bytes = 0x00ff00ffu << (8u * (quarter & 1u));
    u32 other = __shfl_xor_sync(0xffffffffu, own, 2);
    u32 x = (own & halves) | ((other << 16 | other >> 16) & ~halves);
    other = __shfl_xor_sync(0xffffffffu, x, 1);
    x = (x & bytes) | (((other & 0x00ff00ffu) << 8 | (other >> 8 & 0x00ff00ffu)) & ~bytes);
    u32 moved = (x ^ x >> 12) & 0x0000f0f0u;
    x ^= moved ^ moved << 12;
    moved = (x ^ x >> 6) & 0x00cc00ccu;
    return x ^ moved ^ moved << 6;
}

// Tensor cores: a lane holds channels 2 q and 2 q + 1 of every 8; the four lanes of a row put theirs together.
template <class G, class Neuron>
SN_DEV void sn_fuse(const sn_product_mma<G>& product, const sn_block<G>& block, const Neuron& neuron, const sn_spikes<G>& spikes) {
    typedef sn_product_mma<G> Product;
    constexpr u32 COLUMNS = Product::COLUMNS, IN_WORD = COLUMNS < 4 ? COLUMNS : 4;
    constexpr bool ARE_PIXELS = G::PIXELS % (G::BM / G::STEPS) == 0, ARE_CHANNELS = G::N % G::BN == 0;
    const u32 quarter = product.lane & 3u;
#pragma unroll
    for (u32 tile = 0; tile < Product::TILES; tile += G::STEPS)
#pragma unroll
        for (u32 half = 0; half < 2; ++half) {
            const i64 pixel = sn_row_of<G>(block.row, product.row + 16u * tile + 8u * half + (product.lane >> 2)).pixel;
            const bool is_pixel = ARE_PIXELS || pixel < G::PIXELS;
#pragma unroll
            for (u32 first = 0; first < COLUMNS; first += IN_WORD) {
                const i32 channel = block.column + (i32)(product.column + 8u * first), in_word = channel / 32;
                u32 fired[IN_WORD][2];
#pragma unroll
                for (u32 j = 0; j < IN_WORD; ++j)
#pragma unroll
                    for (u32 e = 0; e < 2; ++e) {
                        const i32 c = channel + (i32)(8u * j + 2u * quarter + e);
                        float sums[G::STEPS];
#pragma unroll
                        for (u32 t = 0; t < G::STEPS; ++t)
                            sums[t] = product.scaled.of(product.sum[tile + t][first + j][2 * half + e], c - block.column);
                        const bool is_there = is_pixel && (ARE_CHANNELS || c < G::N);
                        fired[j][e] = is_there ? neuron.run(sums, pixel, c, in_word) : 0u;
                    }
#pragma unroll
                for (i32 step = 0; step < G::PLANES; step += 4) {
                    u32 own = 0;
#pragma unroll
                    for (u32 j = 0; j < IN_WORD; ++j)
#pragma unroll
                        // Bit t of four, times this, stands at 8 t.
                        for (u32 e = 0; e < 2; ++e)
                            own |= ((fired[j][e] >> step & 15u) * 0x00204081u & 0x01010101u) << (2u * j + e);
                    const u32 word = sn_words_of_steps(own, quarter);
                    const i32 t = step + (i32)quarter;
                    if (t >= G::PLANES || !is_pixel || (!ARE_CHANNELS && channel >= G::SPIKE_PITCH)) continue;
                    u32* to = spikes.at(t, pixel, in_word);
                    if (IN_WORD == 4) *to = word;
                    else ((u16*)to)[channel / 16 % 2] = (u16)word;
                }
            }
        }
}

// Without them: neighboring lanes hold neighboring channels, 16 of a pixel and 16 of the next one.
template <class G, class Neuron>
SN_DEV void sn_fuse(const sn_product_simt<G>& product, const sn_block<G>& block, const Neuron& neuron, const sn_spikes<G>& spikes) {
    typedef sn_product_simt<G> Product;
#pragma unroll
    for (u32 tile = 0; tile < Product::ROWS; tile += G::STEPS) {
        const i64 pixel = sn_row_of<G>(block.row, product.row + 16u * tile).pixel;
        const bool is_pixel = pixel < G::PIXELS;
#pragma unroll
        for (u32 j = 0; j < Product::COLUMNS; ++j) {
            const i32 channel = block.column + (i32)(16u * j), c = channel + (i32)product.column;
            typename G::Sum sums[G::STEPS];
#pragma unroll
            for (u32 t = 0; t < G::STEPS; ++t) sums[t] = product.sum[tile + t][j];
            const u32 fired = is_pixel && c < G::N ? neuron.run(sums, pixel, c, c / 32) : 0u;
#pragma unroll
            for (i32 t = 0; t < G::PLANES; ++t) {
                const u32 both = __ballot_sync(0xffffffffu, (fired >> t & 1u) != 0u);
                if (product.column != 0u || !is_pixel || channel >= G::SPIKE_PITCH) continue;
                ((u16*)spikes.at(t, pixel, channel / 32))[channel / 16 % 2] = (u16)(threadIdx.x & 16u ? both >> 16 : both);
            }
        }
    }
}

template <class G, class Neuron>
SN_DEV void sn_contract_fused(const typename G::A* a, const typename G::B* b, u32* words, const Neuron& neuron) {
    sn_block<G> block;
    block.begin();
    typename sn_product<G>::type product;
    sn_multiply(block, a, b, product);
    const sn_spikes<G> spikes = {words};
    sn_fuse(product, block, neuron, spikes);
}
