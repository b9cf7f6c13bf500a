// The spikes of a layer without feedback. L is the layer, L::N its neuron.
//
// A block takes neighboring channels of a pixel through a sample. What reaches the pixel is staged in shared memory with the
// way from one event to the next, which is the same for all of them; whether a neuron may have spiked on the way is a
// comparison, and only for those that may is the time solved.

// A neuron on its way. `place` is that of its first slot.
template <class L> struct ev_neuron {
    double x[L::N::D];
    // The states when this moment began, where arrivals lift the potential.
    double before[L::N::LIFTS ? L::N::D : 1];
    u64 place;
    u32 count, flat;
    bool is_armed, is_due, is_done, is_over;
};

// Notes a spike and resets the states; false if there is no slot left for it.
template <class L>
SN_DEV bool ev_spike(ev_neuron<L>& neuron, double* x, double now, bool is_lifted, typename L::T* times, typename L::T* memory) {
    typedef typename L::N N;
    if (neuron.count == L::BUDGET) {
        neuron.is_over = neuron.is_done = true;
        return false;
    }
    const u64 place = neuron.place + (u64)neuron.count * L::ROW;
    times[place] = (typename L::T)now;
    const double slope = N::slope(x);
    neuron.flat += !is_lifted && slope < L::SLOPE_MIN ? 1 : 0;
    if (memory) {
        const double rise = slope > L::SLOPE_MIN ? slope : L::SLOPE_MIN;
        memory[place * L::WIDTH] = (typename L::T)(is_lifted ? -1.0 : rise);
        for (u32 at = 1; at < L::WIDTH; ++at) memory[place * L::WIDTH + at] = (typename L::T)x[at - 1];
    }
    N::reset(x);
    ++neuron.count;
    neuron.is_armed = ev_is_below<N>(x);
    return true;
}

// Goes on without arrivals, through any spikes; what happens at the very end belongs to what arrives there, or, `inclusive`,
// to the stretch. `m` is the flow over it.
template <class L>
SN_DEV void ev_pass(ev_neuron<L>& neuron, double from, double to, const double* m, bool inclusive, typename L::T* times,
                    typename L::T* memory) {
    typedef typename L::N N;
    double y[N::D];
    N::advance(m, neuron.x, y);
    const bool peaks = N::slope(neuron.x) > 0.0 && N::slope(y) < 0.0;
    const bool is_busy = !neuron.is_armed || !N::SINGLE_PEAK || peaks || N::potential(y) >= N::THETA;
    if (is_busy && !neuron.is_done) {
        double now = from, left = to - from;
        bool has_moved = false;
        while (true) {
            const double wait = ev_wait<N>(neuron.x, left, neuron.is_armed);
            if (!(wait >= 0.0 && (wait < left || inclusive))) break;
            ev_advance<N>(wait, neuron.x);
            now += wait;
            left -= wait;
            has_moved = true;
            if (!ev_spike<L>(neuron, neuron.x, now, false, times, memory)) break;
        }
        if (has_moved) {
            ev_advance<N>(left, neuron.x);
            for (int at = 0; at < N::D; ++at) y[at] = neuron.x[at];
        }
        neuron.is_armed = neuron.is_armed || ev_is_below<N>(y);
        neuron.is_due = neuron.is_armed && ev_excess<N>(y) >= 0.0;
    }
    for (int at = 0; at < N::D; ++at) neuron.x[at] = y[at];
    if constexpr (N::LIFTS)
        for (int at = 0; at < N::D; ++at) neuron.before[at] = y[at];
}

// Spikes if the neuron stands at or above the threshold now that everything of this moment has arrived.
template <class L> SN_DEV void ev_fire(ev_neuron<L>& neuron, double now, typename L::T* times, typename L::T* memory) {
    typedef typename L::N N;
    if (!(N::LIFTS || neuron.is_due) || neuron.is_done || !neuron.is_armed || !(N::potential(neuron.x) >= N::THETA)) return;
    neuron.is_due = false;
    bool is_lifted = false;
    if constexpr (N::LIFTS) is_lifted = ev_is_below<N>(neuron.before) && ev_excess<N>(neuron.x) >= 0.0;
    ev_spike<L>(neuron, neuron.x, now, is_lifted, times, memory);
    if constexpr (N::LIFTS)
        for (int at = 0; at < N::D; ++at) neuron.before[at] = neuron.x[at];
}

// Empties the slots behind the spikes of a neuron and counts what the sweep counts.
template <class L>
SN_DEV void ev_finish(const ev_neuron<L>& neuron, typename L::T* times, typename L::T* memory, u32* counters) {
    for (u32 slot = neuron.count; slot < L::SLOTS; ++slot) {
        const u64 place = neuron.place + (u64)slot * L::ROW;
        times[place] = (typename L::T)ev_infinity();
        for (u32 at = 0; memory && at < L::WIDTH; ++at) memory[place * L::WIDTH + at] = 0;
    }
    if (neuron.is_over) atomicAdd(counters, 1u);
    if (neuron.flat > 0) atomicAdd(counters + 1, neuron.flat);
}

// Events for which a weight is under way.
constexpr u32 EV_AHEAD = 4;

template <class L, u32 THREADS>
SN_DEV void ev_forward(const u32* counts, const typename L::T* event_times, const u32* ids, const typename L::T* weights,
                       typename L::T* times, typename L::T* memory, u32* counters) {
    typedef typename L::N N;
    constexpr bool IS_CUT = L::IS_GROUPED, HAS_PORTS = L::PORTS > 1;
    __shared__ double staged_times[THREADS];
    __shared__ double steps[THREADS * N::ENTRIES];
    __shared__ u32 rows[THREADS];
    __shared__ u32 ports[HAS_PORTS ? THREADS : 1];
    __shared__ u32 firsts[IS_CUT ? THREADS : 1], ends[IS_CUT ? THREADS : 1];
    constexpr u32 TILES = (L::COUT + THREADS - 1) / THREADS;
    const u32 tile = blockIdx.x % TILES, pixel = blockIdx.x / TILES % L::PIXELS, sample = blockIdx.x / TILES / L::PIXELS;
    const u32 channel = tile * THREADS + threadIdx.x;
    const bool is_neuron = channel < L::COUT;
    ev_neuron<L> neuron;
    N::start(neuron.x);
    if constexpr (N::LIFTS) N::start(neuron.before);
    neuron.place = (u64)sample * L::NEURONS + pixel * L::COUT + channel;
    neuron.count = neuron.flat = 0;
    neuron.is_due = neuron.is_over = false;
    neuron.is_armed = ev_is_below<N>(neuron.x);
    neuron.is_done = !is_neuron;
    double now = 0.0;
    const u32 count = counts[sample];
    for (u32 base = 0; base < count; base += THREADS) {
        const u32 at = base + threadIdx.x;
        ev_synapse synapse = {0, 0, 0, 0};
        double time = 0.0;
        bool is_heard = at < count;
        if (is_heard) {
            time = (double)event_times[(u64)sample * L::EVENTS + at];
            is_heard = L::locate(ids[(u64)sample * L::EVENTS + at], pixel, synapse);
        }
        u32 staged = count - base < THREADS ? count - base : THREADS, place = threadIdx.x;
        if constexpr (!L::IS_DENSE) place = ev_scan(is_heard ? 1 : 0, staged);
        if (is_heard) {
            staged_times[place] = time;
            rows[place] = synapse.row;
            if constexpr (HAS_PORTS) ports[place] = synapse.port;
            if constexpr (IS_CUT) {
                firsts[place] = synapse.first;
                ends[place] = synapse.end;
            }
        }
        __syncthreads();
        if (threadIdx.x < staged) {
            const double since = threadIdx.x > 0 ? staged_times[threadIdx.x - 1] : now;
            N::step(staged_times[threadIdx.x] - since, steps + threadIdx.x * N::ENTRIES);
        }
        __syncthreads();
        if (is_neuron && !neuron.is_done) {
            // Weights are asked for some events before they are needed: memory takes longer than an event.
            typename L::T ahead[EV_AHEAD];
#pragma unroll
            for (u32 j = 0; j < EV_AHEAD; ++j) ahead[j] = j < staged ? weights[(u64)rows[j] * L::COUT + channel] : 0;
#pragma unroll 1
            for (u32 j = 0; j < staged; ++j) {
                const double weight = (double)ahead[0];
#pragma unroll
                for (u32 at = 1; at < EV_AHEAD; ++at) ahead[at - 1] = ahead[at];
                if (j + EV_AHEAD < staged) ahead[EV_AHEAD - 1] = weights[(u64)rows[j + EV_AHEAD] * L::COUT + channel];
                const double then = staged_times[j];
                if (then > now) {
                    ev_fire<L>(neuron, now, times, memory);
                    ev_pass<L>(neuron, now, then, steps + j * N::ENTRIES, false, times, memory);
                    now = then;
                }
                if constexpr (IS_CUT)
                    if (channel < firsts[j] || channel >= ends[j]) continue;
                N::receive(HAS_PORTS ? ports[j] : L::PORT, neuron.x, weight);
            }
        }
        if (staged > 0) now = staged_times[staged - 1];
        __syncthreads();
    }
    if (!is_neuron) return;
    ev_fire<L>(neuron, now, times, memory);
    double m[N::ENTRIES];
    N::step(L::DURATION - now, m);
    ev_pass<L>(neuron, now, L::DURATION, m, true, times, memory);
    ev_finish<L>(neuron, times, memory, counters);
}
