// The derivatives of a layer without feedback. L is the layer, L::N its neuron, G a group of its synapses.
//
// Between its spikes the adjoint of a neuron follows from the next of them: one pass over its own spikes finds it just before
// each (`ev_spikes`). An arrival then looks up the spike behind it, and what it did is the adjoint there times the response of
// the states to it. So events need neither an order nor each other, and every sum is taken in an order that sizes alone decide.
//
// Tables of spikes lie `[position][batch][neurons]`, in the order in which spikes act. A spike is behind an arrival if its
// bound is later than that: its own time, or, if arrivals lifted it and come before it at the same time, the next number.

// The place of the last event that a neuron has heard when it is lifted, as a number; none is none.
constexpr u32 EV_NONE = 0xffffffffu;

template <class L>
SN_DEV u32 ev_cause(u32 count, const typename L::T* event_times, const u32* ids, u32 neuron, typename L::T time) {
    u32 low = 0, high = count;
    while (low < high) {
        const u32 half = (low + high) / 2;
        if (event_times[half] <= time) low = half + 1;
        else high = half;
    }
    for (; low > 0; --low) {
        ev_synapse synapse;
        const u32 channel = neuron % L::COUT;
        if (L::locate(ids[low - 1], neuron / L::COUT, synapse) && channel >= synapse.first && channel < synapse.end)
            return ids[low - 1];
    }
    return EV_NONE;
}

// The adjoint before a spike from that behind it; gives what the loss changes by if that spike alone comes later.
template <class L>
SN_DEV double ev_back_through(const typename L::T* memory, u64 place, double error, double* lambda) {
    typedef typename L::N N;
    double states[N::D], change[N::D];
    for (int at = 0; at < N::D; ++at) states[at] = L::WIDTH > 1 ? (double)memory[place * L::WIDTH + 1 + at] : 0.0;
    N::change(states, change);
    double moved = error;
    for (int at = 0; at < N::D; ++at) moved -= lambda[at] * change[at];
    N::reset_adjoint(lambda);
    const double slope = (double)memory[place * L::WIDTH];
    if (slope > 0.0) N::add_threshold(-moved / slope, lambda);
    return moved;
}

template <class N> SN_DEV void ev_back(double dt, double* lambda) {
    double m[N::ENTRIES];
    N::step(dt, m);
    N::advance_adjoint(m, lambda);
}

// A thread for every neuron of every sample. The list of events, `moved` and `causes` are for layers that arrivals lift.
template <class L>
SN_DEV void ev_spikes(const typename L::T* times, const typename L::T* memory, const typename L::T* errors, u32* spike_counts,
                      typename L::T* bounds, typename L::T* lambdas, const u32* counts, const typename L::T* event_times,
                      const u32* ids, typename L::T* moved, u32* causes) {
    typedef typename L::T T;
    typedef typename L::N N;
    const u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= L::ROW) return;
    u32 count = 0;
    while (count < L::SLOTS && ev_is_finite((double)times[count * L::ROW + at])) ++count;
    spike_counts[at] = count;
    double lambda[N::D] = {};
    double since = L::DURATION;
    u32 position = count;
    for (u32 end = count; end > 0;) {
        u32 begin = end - 1;
        const T time = times[begin * L::ROW + at];
        if (N::LIFTS)
            while (begin > 0 && times[(begin - 1) * L::ROW + at] == time) --begin;
        if ((double)time < since && position < count) ev_back<N>(since - (double)time, lambda);
        since = (double)time;
        // Of those at the same time, the lifted ones come last.
        for (u32 turn = 0; turn < (N::LIFTS ? 2 : 1); ++turn)
            for (u32 slot = end; slot-- > begin;) {
                const u64 place = slot * L::ROW + at;
                const bool is_lifted = N::LIFTS && memory[place * L::WIDTH] < 0;
                if (N::LIFTS && is_lifted != (turn == 0)) continue;
                const double by_time = ev_back_through<L>(memory, place, (double)errors[place], lambda);
                --position;
                bounds[position * L::ROW + at] = is_lifted ? ev_next(time) : time;
                for (u32 d = 0; d < N::D; ++d) lambdas[(position * N::D + d) * L::ROW + at] = (T)lambda[d];
                if constexpr (N::LIFTS) {
                    const u32 sample = (u32)(at / L::NEURONS), neuron = (u32)(at % L::NEURONS);
                    const u64 first = (u64)sample * L::EVENTS;
                    moved[position * L::ROW + at] = (T)by_time;
                    causes[position * L::ROW + at] =
                        is_lifted ? ev_cause<L>(counts[sample], event_times + first, ids + first, neuron, time) : EV_NONE;
                }
            }
        end = begin;
    }
}

// The position of the first spike behind an arrival.
template <class L> SN_DEV u32 ev_behind(const typename L::T* bounds, u64 neuron, u32 count, typename L::T time) {
    u32 low = 0, high = count;
    while (low < high) {
        const u32 half = (low + high) / 2;
        if (bounds[half * L::ROW + neuron] > time) high = half;
        else low = half + 1;
    }
    return low;
}

// The sum of the adjoint at a spike times a response.
template <class L> SN_DEV typename L::T ev_along(const typename L::T* lambdas, u64 neuron, u32 position, const typename L::T* response) {
    typename L::T sum = 0;
    for (u32 d = 0; d < L::N::D; ++d) sum += lambdas[(position * L::N::D + d) * L::ROW + neuron] * response[d];
    return sum;
}

// Derivatives by the weights of a group: a block takes an element of the kernel, neighboring channels of a group and a part
// of what arrives there. Parts lie one after the other, each `[rows][channels]`.
template <class L, class G, u32 THREADS>
SN_DEV void ev_weights(const typename L::T* train, const u32* spike_counts, const typename L::T* bounds,
                       const typename L::T* lambdas, typename L::T* sums) {
    typedef typename L::T T;
    constexpr u32 EACH = L::COUT / G::GROUPS, TILES = (EACH + THREADS - 1) / THREADS;
    constexpr u32 POOL = G::POOL_H * G::POOL_W;
    constexpr u64 CANDIDATES = (u64)L::BATCH * L::PIXELS * POOL * G::SLOTS;
    constexpr u64 PART = (CANDIDATES + G::PARTS - 1) / G::PARTS;
    __shared__ T staged_times[THREADS];
    __shared__ u32 staged_pixels[THREADS];
    // Blocks that run together share neurons, whose tables then stay in a cache.
    const u32 row = blockIdx.x % G::WINDOW, tile = blockIdx.x / G::WINDOW % TILES;
    const u32 group = blockIdx.x / G::WINDOW / TILES % G::GROUPS, part = blockIdx.x / G::WINDOW / TILES / G::GROUPS;
    const u32 within = row / (G::KERNEL_H * G::KERNEL_W);
    const u32 kh = row / G::KERNEL_W % G::KERNEL_H, kw = row % G::KERNEL_W;
    const u32 own = tile * THREADS + threadIdx.x, channel = group * EACH + own;
    const bool is_neuron = own < EACH;
    const u64 end = (part + 1) * PART < CANDIDATES ? (part + 1) * PART : CANDIDATES;
    T sum = 0;
    for (u64 base = part * PART; base < end; base += THREADS) {
        const u64 candidate = base + threadIdx.x;
        bool is_heard = false;
        T time = 0;
        u32 pixel = 0;
        if (candidate < end) {
            const u32 slot = (u32)(candidate % G::SLOTS), offset = (u32)(candidate / G::SLOTS % POOL);
            pixel = (u32)(candidate / G::SLOTS / POOL);
            const u32 sample = pixel / L::PIXELS, to = pixel % L::PIXELS;
            const i32 y = (i32)(to / L::OUT_W * G::STRIDE_H + kh * G::DILATION_H) - (i32)G::PAD_H;
            const i32 x = (i32)(to % L::OUT_W * G::STRIDE_W + kw * G::DILATION_W) - (i32)G::PAD_W;
            if (y >= 0 && x >= 0 && y < (i32)G::IN_H && x < (i32)G::IN_W) {
                const u32 from = ((u32)y * G::POOL_H + offset / G::POOL_W) * G::IMAGE_W + (u32)x * G::POOL_W + offset % G::POOL_W;
                const u32 sender = from * G::CIN + group * (G::CIN / G::GROUPS) + within;
                time = train[((u64)slot * L::BATCH + sample) * G::SENDERS + sender];
                is_heard = ev_hears<L>((double)time);
            }
        }
        u32 staged;
        const u32 place = ev_scan(is_heard ? 1 : 0, staged);
        if (is_heard) {
            staged_times[place] = time;
            staged_pixels[place] = pixel;
        }
        __syncthreads();
        for (u32 j = 0; is_neuron && j < staged; ++j) {
            const u64 neuron = (u64)staged_pixels[j] * L::COUT + channel;
            const T arrival = staged_times[j];
            const u32 count = spike_counts[neuron], position = ev_behind<L>(bounds, neuron, count, arrival);
            if (position == count) continue;
            T response[L::N::D];
            L::N::template injected<G::PORT, T>(bounds[position * L::ROW + neuron] - arrival, response);
            sum += ev_along<L>(lambdas, neuron, position, response);
        }
        __syncthreads();
    }
    if (is_neuron) sums[((u64)part * G::WINDOW + row) * L::COUT + channel] = sum;
}

// Derivatives by the times of a train: a warp takes EACH neighboring slots of it, and one heard spike after the other.
template <class L, class G, u32 EACH>
SN_DEV void ev_train(const typename L::T* train, const u32* spike_counts, const typename L::T* bounds,
                     const typename L::T* lambdas, const typename L::T* weights, const typename L::T* moved, const u32* causes,
                     typename L::T* by_times) {
    typedef typename L::T T;
    constexpr u64 TOTAL = (u64)G::SLOTS * L::BATCH * G::SENDERS;
    constexpr u32 CHANNELS = L::COUT / G::GROUPS;
    const u32 lane = threadIdx.x & 31u;
    const u64 first = (((u64)blockIdx.x * blockDim.x + threadIdx.x) >> 5) * EACH;
    const u32 first_sender = (u32)(first % G::SENDERS), first_row = (u32)(first / G::SENDERS);
    const bool is_slot = lane < EACH && first + lane < TOTAL;
    const T mine = is_slot ? train[first + lane] : (T)-1;
    double found = 0.0;
    u32 heard = __ballot_sync(0xffffffffu, is_slot && ev_hears<L>((double)mine));
    while (heard != 0) {
        const u32 source = (u32)__ffs((i32)heard) - 1;
        heard &= heard - 1;
        const T arrival = __shfl_sync(0xffffffffu, mine, source);
        u32 sender = first_sender + source, row = first_row;
        for (; sender >= G::SENDERS; sender -= G::SENDERS) ++row;
        const u32 sample = row % L::BATCH, id = G::FIRST + sender * G::SLOTS + row / L::BATCH;
        const u32 from = sender / G::CIN, channel = sender % G::CIN;
        const u32 within = channel % (G::CIN / G::GROUPS), start = channel / (G::CIN / G::GROUPS) * CHANNELS;
        const i32 y = (i32)(from / G::IMAGE_W / G::POOL_H), x = (i32)(from % G::IMAGE_W / G::POOL_W);
        double sum = 0.0;
        for (u32 kh = 0; y < (i32)G::IN_H && kh < G::KERNEL_H; ++kh) {
            const i32 down = y + (i32)G::PAD_H - (i32)(kh * G::DILATION_H);
            if (down < 0 || down % (i32)G::STRIDE_H != 0 || down / (i32)G::STRIDE_H >= (i32)L::OUT_H) continue;
            for (u32 kw = 0; x < (i32)G::IN_W && kw < G::KERNEL_W; ++kw) {
                const i32 right = x + (i32)G::PAD_W - (i32)(kw * G::DILATION_W);
                if (right < 0 || right % (i32)G::STRIDE_W != 0 || right / (i32)G::STRIDE_W >= (i32)L::OUT_W) continue;
                const u32 pixel = (u32)(down / (i32)G::STRIDE_H) * L::OUT_W + (u32)(right / (i32)G::STRIDE_W);
                const u64 weight_row = (u64)(G::ROW + (within * G::KERNEL_H + kh) * G::KERNEL_W + kw) * L::COUT;
                for (u32 to = start + lane; to < start + CHANNELS; to += 32) {
                    const u64 neuron = (u64)sample * L::NEURONS + pixel * L::COUT + to;
                    const u32 count = spike_counts[neuron], position = ev_behind<L>(bounds, neuron, count, arrival);
                    if (position == count) continue;
                    T response[L::N::D];
                    L::N::template drifted<G::PORT, T>(bounds[position * L::ROW + neuron] - arrival, response);
                    sum -= (double)(weights[weight_row + to] * ev_along<L>(lambdas, neuron, position, response));
                    if constexpr (L::N::LIFTS)
                        for (u32 at = position; at < count && causes[at * L::ROW + neuron] == id; ++at)
                            sum += (double)moved[at * L::ROW + neuron];
                }
            }
        }
#pragma unroll
        for (u32 step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
        if (lane == source) found = sum;
    }
    if (is_slot) by_times[first + lane] = (T)found;
}
