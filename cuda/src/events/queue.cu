// What a layer sends itself in one sample: a queue for each group of its own synapses. L is the layer.
//
// Spikes come in the order of time, and all of a group take equally long: a new arrival belongs at the end of its queue but
// for those at the same time.

// The ends of the queues, in shared memory, and the arrivals in them, of each group as many as the layer has slots.
template <class L> struct ev_queue {
    u32* heads;
    u32* tails;
    double* times;
    u32* ids;
};

// When a spike of a layer reaches the layer, as the program's numbers say it.
template <class L> SN_DEV double ev_own_arrival(double time, double delay) {
    return (double)(typename L::T)((double)(typename L::T)time + (delay < 0.0 ? 0.0 : delay));
}

// Sends a spike along all of the layer's own synapses; for one thread.
template <class L> SN_DEV void ev_send(const ev_queue<L>& queue, const double* delays, double time, u32 neuron, u32 slot) {
    for (u32 own = 0; own < L::OWN; ++own) {
        const double arrival = ev_own_arrival<L>(time, delays[own]);
        if (!ev_hears<L>(arrival)) continue;
        const u32 id = L::EVENTS + own * L::SLOTS * L::NEURONS + neuron * L::SLOTS + slot;
        double* const times = queue.times + (u64)own * L::SLOTS * L::NEURONS;
        u32* const ids = queue.ids + (u64)own * L::SLOTS * L::NEURONS;
        u32 place = queue.tails[own]++;
        for (; place > queue.heads[own]; --place) {
            if (times[place - 1] < arrival || (times[place - 1] == arrival && ids[place - 1] < id)) break;
            times[place] = times[place - 1];
            ids[place] = ids[place - 1];
        }
        times[place] = arrival;
        ids[place] = id;
    }
}

// The next arrival, from outside (`at` of a list of `count`) or from the layer itself; false if there is none.
template <class L>
SN_DEV bool ev_peek(const ev_queue<L>& queue, u32 at, u32 count, const typename L::T* event_times, const u32* event_ids,
                    double& time, u32& id) {
    bool is_found = at < count;
    if (is_found) {
        time = (double)event_times[at];
        id = event_ids[at];
    }
    for (u32 own = 0; own < L::OWN; ++own) {
        const u32 head = queue.heads[own];
        if (head == queue.tails[own]) continue;
        const double other = queue.times[(u64)own * L::SLOTS * L::NEURONS + head];
        const u32 other_id = queue.ids[(u64)own * L::SLOTS * L::NEURONS + head];
        if (!is_found || other < time || (other == time && L::group(other_id) < L::group(id))) {
            is_found = true;
            time = other;
            id = other_id;
        }
    }
    return is_found;
}

// Takes what was just found.
template <class L> SN_DEV void ev_take(const ev_queue<L>& queue, u32& at, u32 id) {
    if (id < L::EVENTS) ++at;
    else ++queue.heads[(id - L::EVENTS) / (L::SLOTS * L::NEURONS)];
}
