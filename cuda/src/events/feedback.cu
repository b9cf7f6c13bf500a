// The spikes of a layer that sends spikes to itself. L is the layer, L::N its neuron.
//
// A block takes a sample. Every neuron knows when it will spike if nothing arrives; the earliest of what may happen next
// happens: an arrival, which changes the neurons that it reaches, or a spike, which resets its neuron. States lie in memory,
// each thread's neurons are its own.

// Bits of a neuron's mark: was below the threshold since it last spiked; was when this moment began; was lifted over it; is
// out of budget.
constexpr u32 EV_ARMED = 1, EV_BELOW = 2, EV_LIFTED = 4, EV_DONE = 8;

// The neurons of a sample: `[neurons]` of everything.
template <class L> struct ev_neurons {
    double* x;
    double* since;
    double* next;
    u32* count;
    u32* mark;
};

template <class L> SN_DEV void ev_load(const ev_neurons<L>& all, u32 at, double* x) {
    for (u32 d = 0; d < L::N::D; ++d) x[d] = all.x[(u64)d * L::NEURONS + at];
}

// Stores the states of a neuron and when it will spike from now on.
template <class L> SN_DEV void ev_store(const ev_neurons<L>& all, u32 at, const double* x, double since, u32 mark) {
    for (u32 d = 0; d < L::N::D; ++d) all.x[(u64)d * L::NEURONS + at] = x[d];
    const double wait = ev_wait<typename L::N>(x, L::DURATION - since, mark & EV_ARMED);
    all.since[at] = since;
    all.next[at] = wait >= 0.0 ? since + wait : ev_infinity();
    all.mark[at] = mark;
}

template <class L> SN_DEV void ev_receive(const ev_neurons<L>& all, u32 at, double now, u32 port, double weight) {
    typedef typename L::N N;
    u32 mark = all.mark[at];
    if (mark & EV_DONE) return;
    double x[N::D], since = all.since[at];
    ev_load<L>(all, at, x);
    if (now > since) {
        ev_advance<N>(now - since, x);
        since = now;
        mark = ev_is_below<N>(x) ? mark | EV_BELOW | EV_ARMED : mark & ~EV_BELOW;
    }
    N::receive(port, x, weight);
    const bool is_lifted = (mark & EV_BELOW) && ev_excess<N>(x) >= 0.0;
    ev_store<L>(all, at, x, since, is_lifted ? mark | EV_LIFTED : mark & ~EV_LIFTED);
}

// Spikes, after so many arrivals from its layer in the same moment.
template <class L>
SN_DEV void ev_spike_of(const ev_neurons<L>& all, u32 at, u32 own, u64 first, typename L::T* times, typename L::T* memory,
                        u32* counters) {
    typedef typename L::N N;
    typedef typename L::T T;
    double x[N::D];
    ev_load<L>(all, at, x);
    const double now = all.next[at], since = all.since[at];
    if (now > since) ev_advance<N>(now - since, x);
    const double slope = N::slope(x);
    const bool is_lifted = all.mark[at] & EV_LIFTED;
    const u64 place = first + all.count[at] * L::ROW + at;
    if (!is_lifted && slope < L::SLOPE_MIN) atomicAdd(counters + 1, 1u);
    times[place] = (T)now;
    if (memory) {
        const double rise = slope > L::SLOPE_MIN ? slope : L::SLOPE_MIN;
        memory[place * L::WIDTH] = (T)(is_lifted ? -1.0 - (double)own : rise);
        for (u32 d = 1; d < L::WIDTH; ++d) memory[place * L::WIDTH + d] = (T)x[d - 1];
    }
    N::reset(x);
    ++all.count[at];
    ev_store<L>(all, at, x, now > since ? now : since, ev_is_below<N>(x) ? EV_ARMED | EV_BELOW : 0);
}

// What happens next.
struct ev_happening {
    u32 kind, which, own;
    double now;
};

constexpr u32 EV_END = 0, EV_ARRIVAL = 1, EV_SPIKE = 2;

// The neuron that will spike first, of equal ones the first; every thread gets it.
template <class L> SN_DEV void ev_earliest(const ev_neurons<L>& all, double& time, u32& which) {
    __shared__ double warp_times[32];
    __shared__ u32 warp_which[32];
    time = ev_infinity();
    which = 0xffffffffu;
    for (u32 at = threadIdx.x; at < L::NEURONS; at += blockDim.x)
        if (all.next[at] < time) {
            time = all.next[at];
            which = at;
        }
    const u32 lane = threadIdx.x & 31u, warp = threadIdx.x >> 5;
#pragma unroll
    for (u32 round = 0; round < 2; ++round) {
#pragma unroll
        for (u32 step = 16; step > 0; step /= 2) {
            const double other = __shfl_xor_sync(0xffffffffu, time, step);
            const u32 other_which = __shfl_xor_sync(0xffffffffu, which, step);
            if (other < time || (other == time && other_which < which)) {
                time = other;
                which = other_which;
            }
        }
        if (round > 0) continue;
        if (lane == 0) {
            warp_times[warp] = time;
            warp_which[warp] = which;
        }
        __syncthreads();
        const bool is_warp = lane < blockDim.x >> 5;
        time = is_warp ? warp_times[lane] : ev_infinity();
        which = is_warp ? warp_which[lane] : 0xffffffffu;
    }
}

template <class L>
SN_DEV void ev_feedback(const u32* counts, const typename L::T* event_times, const u32* ids, const typename L::T* weights,
                        const double* delays, double* states, u32* marks, double* queue_times, u32* queue_ids,
                        typename L::T* times, typename L::T* memory, u32* counters) {
    typedef typename L::N N;
    typedef typename L::T T;
    __shared__ u32 heads[L::OWN], tails[L::OWN];
    __shared__ ev_happening next;
    const u32 sample = blockIdx.x, count = counts[sample];
    double* const own_states = states + (u64)sample * (N::D + 2) * L::NEURONS;
    u32* const own_marks = marks + (u64)sample * 2 * L::NEURONS;
    const ev_neurons<L> all = {own_states, own_states + (u64)N::D * L::NEURONS, own_states + (u64)(N::D + 1) * L::NEURONS,
                               own_marks, own_marks + L::NEURONS};
    const u64 waiting = (u64)sample * L::OWN * L::SLOTS * L::NEURONS, first = (u64)sample * L::NEURONS;
    const ev_queue<L> queue = {heads, tails, queue_times + waiting, queue_ids + waiting};
    event_times += (u64)sample * L::EVENTS;
    ids += (u64)sample * L::EVENTS;
    for (u32 at = threadIdx.x; at < L::NEURONS; at += blockDim.x) {
        double x[N::D];
        N::start(x);
        all.count[at] = 0;
        ev_store<L>(all, at, x, 0.0, ev_is_below<N>(x) ? EV_ARMED | EV_BELOW : 0);
    }
    if (threadIdx.x < L::OWN) heads[threadIdx.x] = tails[threadIdx.x] = 0;
    // Of the first thread: the next event from outside, the moment, and arrivals from the layer itself in it.
    u32 outer = 0, own = 0;
    double now = 0.0;
    while (true) {
        double spike;
        u32 which;
        ev_earliest<L>(all, spike, which);
        if (threadIdx.x == 0) {
            double arrival = ev_infinity();
            u32 id = 0;
            const bool arrives = ev_peek<L>(queue, outer, count, event_times, ids, arrival, id);
            const double moment = arrival < spike ? arrival : spike;
            if (moment > now) {
                now = moment;
                own = 0;
            }
            if (arrives && arrival <= spike) {
                ev_take<L>(queue, outer, id);
                own += id < L::EVENTS ? 0 : 1;
                next = {EV_ARRIVAL, id, own, now};
            } else {
                next = {spike <= L::DURATION ? EV_SPIKE : EV_END, which, own, now};
            }
        }
        __syncthreads();
        const ev_happening happening = next;
        if (happening.kind == EV_END) break;
        if (happening.kind == EV_ARRIVAL) {
            for (u32 at = threadIdx.x; at < L::NEURONS; at += blockDim.x) {
                const u32 channel = at % L::COUT;
                ev_synapse synapse;
                if (!L::locate(happening.which, at / L::COUT, synapse) || channel < synapse.first || channel >= synapse.end)
                    continue;
                const double weight = (double)weights[(u64)synapse.row * L::COUT + channel];
                ev_receive<L>(all, at, happening.now, synapse.port, weight);
            }
        } else if (happening.which % blockDim.x == threadIdx.x) {
            const u32 at = happening.which, slot = all.count[at];
            if (slot == L::BUDGET) {
                all.mark[at] |= EV_DONE;
                all.next[at] = ev_infinity();
                atomicAdd(counters, 1u);
            } else {
                ev_send<L>(queue, delays, all.next[at], at, slot);
                ev_spike_of<L>(all, at, happening.own, first, times, memory, counters);
            }
        }
        __syncthreads();
    }
    for (u32 at = threadIdx.x; at < L::NEURONS; at += blockDim.x)
        for (u32 slot = all.count[at]; slot < L::SLOTS; ++slot) {
            const u64 place = first + slot * L::ROW + at;
            times[place] = (T)ev_infinity();
            for (u32 d = 0; memory && d < L::WIDTH; ++d) memory[place * L::WIDTH + d] = 0;
        }
}
