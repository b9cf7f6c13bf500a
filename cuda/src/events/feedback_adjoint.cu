// The derivatives of a layer that sends spikes to itself. L is the layer, L::N its neuron.
//
// Once the spikes are known, so are all events and their order (`ev_order`). A block walks back through a part of the samples,
// one event after the other, with the adjoint of every neuron in memory (`ev_walk`).

// When a spike acts among others: those that arrivals lifted come last in their moment, in the order in which they set each
// other off.
template <class T> struct ev_moment {
    T time, rank;
};

template <class T> SN_DEV bool ev_before(const ev_moment<T>& a, const ev_moment<T>& b) {
    return a.time < b.time || (a.time == b.time && a.rank < b.rank);
}

// What happened in a sample. Spikes, as `slot * neurons + neuron`, have numbers behind those of all arrivals.
template <class L> struct ev_history {
    u32* n;
    typename L::T* times;
    u32* codes;
};

template <class L> SN_DEV ev_history<L> ev_history_of(u32 sample, u32* n, typename L::T* times, u32* codes) {
    const u64 first = (u64)sample * L::HAPPENINGS;
    return {n + sample, times + first, codes + first};
}

// Notes all arrivals up to the last spike and the spikes in their order; for one thread.
template <class L>
SN_DEV void ev_interleave(const ev_queue<L>& queue, const double* delays, u32 count, const typename L::T* event_times,
                          const u32* ids, u32 spikes, const ev_moment<typename L::T>* moments, const u32* spike_ids,
                          const ev_history<L>& history) {
    typedef typename L::T T;
    u32 n = 0, outer = 0;
    for (u32 at = 0; at < spikes; ++at) {
        const double time = (double)moments[at].time;
        const bool is_lifted = moments[at].rank > 0;
        double arrival;
        u32 id;
        while (ev_peek<L>(queue, outer, count, event_times, ids, arrival, id)) {
            if (!(arrival < time || (is_lifted && arrival == time))) break;
            ev_take<L>(queue, outer, id);
            history.times[n] = (T)arrival;
            history.codes[n++] = id;
        }
        history.times[n] = moments[at].time;
        history.codes[n++] = L::ARRIVALS + spike_ids[at];
        ev_send<L>(queue, delays, time, spike_ids[at] % L::NEURONS, spike_ids[at] / L::NEURONS);
    }
    *history.n = n;
}

// A block for every sample.
template <class L>
SN_DEV void ev_order(const u32* counts, const typename L::T* event_times, const u32* ids, const typename L::T* times,
                     const typename L::T* memory, const double* delays, ev_moment<typename L::T>* moments, u32* spike_ids,
                     ev_moment<typename L::T>* other_moments, u32* other_ids, double* queue_times, u32* queue_ids, u32* n,
                     typename L::T* happening_times, u32* codes) {
    constexpr u32 SPIKES = L::SLOTS * L::NEURONS;
    __shared__ u32 heads[L::OWN], tails[L::OWN];
    const u32 sample = blockIdx.x;
    const u64 first = (u64)sample * SPIKES;
    moments += first;
    spike_ids += first;
    u32 spikes = 0, found;
    for (u32 base = 0; base < SPIKES; base += blockDim.x) {
        const u32 at = base + threadIdx.x;
        const u64 place = (u64)(at / L::NEURONS) * L::ROW + (u64)sample * L::NEURONS + at % L::NEURONS;
        const bool is_spike = at < SPIKES && ev_is_finite((double)times[place]);
        const u32 to = spikes + ev_scan(is_spike ? 1 : 0, found);
        if (is_spike) {
            const typename L::T rise = memory[place * L::WIDTH];
            moments[to] = {times[place], rise < 0 ? -rise : 0};
            spike_ids[to] = at;
        }
        spikes += found;
    }
    ev_sort(spikes, moments, spike_ids, other_moments + first, other_ids + first);
    if (threadIdx.x != 0) return;
    for (u32 own = 0; own < L::OWN; ++own) heads[own] = tails[own] = 0;
    const ev_queue<L> queue = {heads, tails, queue_times + first * L::OWN, queue_ids + first * L::OWN};
    event_times += (u64)sample * L::EVENTS;
    ids += (u64)sample * L::EVENTS;
    ev_interleave<L>(queue, delays, counts[sample], event_times, ids, spikes, moments, spike_ids,
                     ev_history_of<L>(sample, n, happening_times, codes));
}

// The adjoint of every neuron on the way back: `[neurons]` of everything, and the derivatives by spikes `[slots][neurons]`.
template <class L> struct ev_adjoints {
    double* lambda;
    double* since;
    double* caused;
    double* errors;
};

template <class L> SN_DEV void ev_back_to(const ev_adjoints<L>& all, u32 at, double time, double* lambda) {
    for (u32 d = 0; d < L::N::D; ++d) lambda[d] = all.lambda[(u64)d * L::NEURONS + at];
    if (time < all.since[at]) ev_back<typename L::N>(all.since[at] - time, lambda);
    all.since[at] = time;
}

template <class L> SN_DEV void ev_keep(const ev_adjoints<L>& all, u32 at, const double* lambda) {
    for (u32 d = 0; d < L::N::D; ++d) all.lambda[(u64)d * L::NEURONS + at] = lambda[d];
}

// Goes back over an arrival: the derivatives by its weights are added to `sums`, that by its time is the sum over threads.
template <class L>
SN_DEV double ev_unreceive(const ev_adjoints<L>& all, double time, u32 id, const typename L::T* weights, typename L::T* sums) {
    double by_time = 0.0;
    for (u32 at = threadIdx.x; at < L::NEURONS; at += blockDim.x) {
        const u32 channel = at % L::COUT;
        ev_synapse synapse;
        if (!L::locate(id, at / L::COUT, synapse) || channel < synapse.first || channel >= synapse.end) continue;
        double lambda[L::N::D];
        ev_back_to<L>(all, at, time, lambda);
        ev_keep<L>(all, at, lambda);
        const u64 place = (u64)synapse.row * L::COUT + channel;
        sums[place] += (typename L::T)L::N::along_inject(synapse.port, lambda);
        by_time += all.caused[at] - (double)weights[place] * L::N::along_drift(synapse.port, lambda);
        all.caused[at] = 0.0;
    }
    return by_time;
}

// The sum over a block, for its first thread.
SN_DEV double ev_block_sum(double sum) {
    __shared__ double sums[32];
#pragma unroll
    for (u32 step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if ((threadIdx.x & 31u) == 0) sums[threadIdx.x >> 5] = sum;
    __syncthreads();
    double all = 0.0;
    for (u32 warp = 0; threadIdx.x == 0 && warp < blockDim.x >> 5; ++warp) all += sums[warp];
    return all;
}

// A block for every part of the batch. `trains` are the derivatives by the times of each group's train, where wanted; those of
// spikes that are not heard are 0 already.
template <class L>
SN_DEV void ev_walk(u32* n, typename L::T* happening_times, u32* codes, const typename L::T* memory,
                    const typename L::T* errors, const typename L::T* weights, const double* delays, double* states,
                    typename L::T* sums, double* delay_sums, typename L::T* const* trains) {
    typedef typename L::N N;
    typedef typename L::T T;
    constexpr u32 EACH = (L::BATCH + L::PARTS - 1) / L::PARTS, SPIKES = L::SLOTS * L::NEURONS;
    double* const own = states + (u64)blockIdx.x * ((u64)(N::D + 2) * L::NEURONS + SPIKES);
    const ev_adjoints<L> all = {own, own + (u64)N::D * L::NEURONS, own + (u64)(N::D + 1) * L::NEURONS,
                                own + (u64)(N::D + 2) * L::NEURONS};
    sums += (u64)blockIdx.x * L::ROWS * L::COUT;
    for (u64 at = threadIdx.x; at < (u64)L::ROWS * L::COUT; at += blockDim.x) sums[at] = 0;
    double by_delay[L::OWN] = {};
    const u32 start = blockIdx.x * EACH, end = start + EACH < L::BATCH ? start + EACH : L::BATCH;
    for (u32 sample = start; sample < end; ++sample) {
        const ev_history<L> history = ev_history_of<L>(sample, n, happening_times, codes);
        const u64 first = (u64)sample * L::NEURONS;
        for (u32 at = threadIdx.x; at < L::NEURONS; at += blockDim.x) {
            for (u32 d = 0; d < N::D; ++d) all.lambda[(u64)d * L::NEURONS + at] = 0.0;
            all.since[at] = L::DURATION;
            all.caused[at] = 0.0;
            for (u32 slot = 0; slot < L::SLOTS; ++slot)
                all.errors[slot * L::NEURONS + at] = (double)errors[slot * L::ROW + first + at];
        }
        __syncthreads();
        for (u32 at = *history.n; at-- > 0;) {
            const u32 code = history.codes[at];
            const double time = (double)history.times[at];
            if (code >= L::ARRIVALS) {
                const u32 spike = code - L::ARRIVALS, neuron = spike % L::NEURONS;
                if (neuron % blockDim.x == threadIdx.x) {
                    const u64 place = spike / L::NEURONS * L::ROW + first + neuron;
                    double lambda[N::D];
                    ev_back_to<L>(all, neuron, time, lambda);
                    const double moved = ev_back_through<L>(memory, place, all.errors[spike], lambda);
                    if (memory[place * L::WIDTH] < 0) all.caused[neuron] += moved;
                    ev_keep<L>(all, neuron, lambda);
                }
                continue;
            }
            const double by_time = ev_block_sum(ev_unreceive<L>(all, time, code, weights, sums));
            if (threadIdx.x == 0 && code < L::EVENTS) {
                const u64 place = L::place_of(code, sample);
                if (T* const train = trains[L::group(code)]) train[place] = (T)by_time;
            } else if (threadIdx.x == 0) {
                const u32 group = (code - L::EVENTS) / SPIKES, rest = (code - L::EVENTS) % SPIKES;
                all.errors[rest % L::SLOTS * L::NEURONS + rest / L::SLOTS] += by_time;
                // A delay below 0 counts as 0, whatever it is.
                if (delays[group] >= 0.0) by_delay[group] += by_time;
            }
            __syncthreads();
        }
        __syncthreads();
    }
    if (threadIdx.x == 0)
        for (u32 group = 0; group < L::OWN; ++group) delay_sums[blockIdx.x * L::OWN + group] = by_delay[group];
}

template <class T> SN_DEV void ev_sum_delays(const double* sums, u32 parts, u32 own, u32 group, T* delay) {
    double sum = 0.0;
    for (u32 part = 0; part < parts; ++part) sum += sums[part * own + group];
    if (threadIdx.x == 0) *delay = (T)sum;
}
