// The spikes of a layer of few neurons without feedback, whose states decay at different rates. L is the layer, L::N its
// neuron.
//
// A warp takes a neuron through a sample, 32 arrivals at a time. In amplitudes, one for each rate, states are sums over
// arrivals, which a scan finds for all lanes at once; each lane then looks over the stretch behind its arrival. The first that
// finds a spike resets: that shifts the amplitudes of all later lanes by the same amount, so nothing is scanned again.
// Amplitudes are relative to the first arrival of the 32 and stop where they would outgrow the range of numbers.

// The growth of an amplitude within a scan, as a power of e, at most.
constexpr double EV_GROWTH = 300.0;

// Sums over the lanes up to each.
template <int D> SN_DEV void ev_scan_lanes(double* a) {
#pragma unroll
    for (u32 step = 1; step < 32; step *= 2)
#pragma unroll
        for (int at = 0; at < D; ++at) {
            const double other = __shfl_up_sync(0xffffffffu, a[at], step);
            if ((threadIdx.x & 31u) >= step) a[at] += other;
        }
}

template <int D> SN_DEV void ev_broadcast(double* x, u32 lane) {
#pragma unroll
    for (int at = 0; at < D; ++at) x[at] = __shfl_sync(0xffffffffu, x[at], lane);
}

// The stretch of a lane: the states when it begins, its ends, and the states when it ends if nothing happens.
template <class N> struct ev_lane {
    double x[N::D], y[N::D];
    double begin, end;
};

template <class N> SN_DEV void ev_look(ev_lane<N>& own) {
    double m[N::ENTRIES];
    N::step(own.end - own.begin, m);
    N::advance(m, own.x, own.y);
}

// How long until the lane's neuron spikes, if it does in its stretch.
template <class N> SN_DEV double ev_hit(const ev_lane<N>& own, bool is_armed, bool is_last) {
    const bool peaks = N::slope(own.x) > 0.0 && N::slope(own.y) < 0.0;
    const bool is_above = N::potential(own.x) >= N::THETA || N::potential(own.y) >= N::THETA;
    if (is_armed && N::SINGLE_PEAK && !peaks && !is_above) return EV_NEVER;
    const double left = own.end - own.begin, wait = ev_wait<N>(own.x, left, is_armed);
    return wait >= 0.0 && (wait < left || is_last) ? wait : EV_NEVER;
}

// An arrival, or what stands for one before the first and behind the last.
struct ev_arrival {
    double time, weight;
    u32 port;
};

// The arrival before the one of this place in the list: before the first there is one that brings nothing, at the beginning.
template <class L>
SN_DEV ev_arrival ev_arrival_at(u32 at, u32 count, const typename L::T* event_times, const u32* ids, const typename L::T* weights,
                                u32 channel) {
    if (at == 0 || at > count) return {at == 0 ? 0.0 : L::DURATION, 0.0, 0};
    ev_synapse synapse;
    L::locate(ids[at - 1], 0, synapse);
    return {(double)event_times[at - 1], (double)weights[(u64)synapse.row * L::COUT + channel], synapse.port};
}

template <class L>
SN_DEV void ev_scan_forward(const u32* counts, const typename L::T* event_times, const u32* ids, const typename L::T* weights,
                            typename L::T* times, typename L::T* memory, u32* counters) {
    typedef typename L::N N;
    constexpr u32 ALL = 0xffffffffu;
    const u64 unit = ((u64)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
    if (unit >= L::ROW) return;
    const u32 lane = threadIdx.x & 31u, sample = (u32)(unit / L::NEURONS), channel = (u32)(unit % L::NEURONS);
    const u32 count = counts[sample];
    event_times += (u64)sample * L::EVENTS;
    ids += (u64)sample * L::EVENTS;
    ev_neuron<L> neuron;
    N::start(neuron.x);
    neuron.place = unit;
    neuron.count = neuron.flat = 0;
    neuron.is_over = neuron.is_done = neuron.is_due = false;
    bool is_armed = ev_is_below<N>(neuron.x);
    ev_arrival arrival = ev_arrival_at<L>(lane, count, event_times, ids, weights, channel);
    for (u32 base = 0; base <= count;) {
        const u32 at = base + lane;
        // The next ones are asked for before these are worked on.
        const ev_arrival ahead = ev_arrival_at<L>(at + 32, count, event_times, ids, weights, channel);
        ev_lane<N> own;
        own.begin = arrival.time;
        own.end = __shfl_down_sync(ALL, arrival.time, 1);
        const double behind = __shfl_sync(ALL, ahead.time, 0);
        if (lane == 31) own.end = behind;
        const double origin = __shfl_sync(ALL, own.begin, 0);
        const bool is_active = at <= count && N::FASTEST * (own.begin - origin) <= EV_GROWTH;
        const u32 last = (u32)__popc(__ballot_sync(ALL, is_active)) - 1;
        double brought[N::D] = {}, a[N::D], e[N::D];
        if (is_active) N::receive(arrival.port, brought, arrival.weight);
        N::amplitudes(brought, a);
        N::decays(is_active ? origin - own.begin : 0.0, e);
        for (int d = 0; d < N::D; ++d) a[d] *= e[d];
        ev_scan_lanes<N::D>(a);
        double carried[N::D];
        N::amplitudes(neuron.x, carried);
        N::decays(is_active ? own.begin - origin : 0.0, e);
        for (int d = 0; d < N::D; ++d) a[d] += carried[d];
        u32 from = 0;
        double scaled[N::D];
        for (int d = 0; d < N::D; ++d) scaled[d] = a[d] * e[d];
        N::states(scaled, own.x);
        while (true) {
            ev_look<N>(own);
            const u32 below = __ballot_sync(ALL, is_active && lane >= from && ev_is_below<N>(own.y));
            const bool armed = is_armed || (below & ((1u << lane) - 1)) != 0;
            const double wait = is_active && lane >= from ? ev_hit<N>(own, armed, at == count) : EV_NEVER;
            const u32 hits = __ballot_sync(ALL, wait >= 0.0);
            if (hits == 0) {
                is_armed = is_armed || below != 0;
                break;
            }
            from = (u32)__ffs((i32)hits) - 1;
            double shift[N::D] = {};
            if (lane == from) {
                double before[N::D], grown[N::D];
                ev_advance<N>(wait, own.x);
                own.begin += wait;
                N::amplitudes(own.x, before);
                ev_spike<L>(neuron, own.x, own.begin, false, times, memory);
                N::amplitudes(own.x, shift);
                N::decays(origin - own.begin, grown);
                for (int d = 0; d < N::D; ++d) shift[d] = (shift[d] - before[d]) * grown[d];
            }
            if (__ballot_sync(ALL, neuron.is_over)) break;
            is_armed = __ballot_sync(ALL, lane == from && ev_is_below<N>(own.x)) != 0;
            neuron.count = __shfl_sync(ALL, neuron.count, from);
            ev_broadcast<N::D>(shift, from);
            if (lane > from) {
                for (int d = 0; d < N::D; ++d) a[d] += shift[d];
                for (int d = 0; d < N::D; ++d) scaled[d] = a[d] * e[d];
                N::states(scaled, own.x);
            }
        }
        if (__ballot_sync(ALL, neuron.is_over)) break;
        for (int d = 0; d < N::D; ++d) neuron.x[d] = own.y[d];
        ev_broadcast<N::D>(neuron.x, last);
        base += last + 1;
        arrival = last == 31 ? ahead : ev_arrival_at<L>(base + lane, count, event_times, ids, weights, channel);
    }
    for (u32 slot = neuron.count + lane; slot < L::SLOTS; slot += 32) {
        const u64 place = neuron.place + (u64)slot * L::ROW;
        times[place] = (typename L::T)ev_infinity();
        for (u32 at = 0; memory && at < L::WIDTH; ++at) memory[place * L::WIDTH + at] = 0;
    }
    if (neuron.is_over) atomicAdd(counters, 1u);
    if (neuron.flat > 0) atomicAdd(counters + 1, neuron.flat);
}
