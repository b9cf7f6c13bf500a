// Lists of events on the device: what of a train is heard, in its order. L is the layer, G a group of its synapses.
//
// An event's number tells its group, sender and slot, ascending in this order, in which those of the same moment act.

// How a spike reaches the neurons of a pixel: its row of packed weights, its port, and the channels that hear it.
struct ev_synapse {
    u32 row, port, first, end;
};

// The sum of what the threads of a block before this one have, and that of all.
SN_DEV u32 ev_scan(u32 mine, u32& total) {
    __shared__ u32 sums[32];
    const u32 lane = threadIdx.x & 31u, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    u32 sum = mine;
#pragma unroll
    for (u32 step = 1; step < 32; step *= 2) {
        const u32 other = __shfl_up_sync(0xffffffffu, sum, step);
        if (lane >= step) sum += other;
    }
    if (lane == 31) sums[warp] = sum;
    __syncthreads();
    u32 before = 0, all = 0;
    for (u32 at = 0; at < warps; ++at) {
        before += at < warp ? sums[at] : 0;
        all += sums[at];
    }
    __syncthreads();
    total = all;
    return before + sum - mine;
}

template <class L> SN_DEV bool ev_hears(double time) { return time >= 0.0 && time <= L::DURATION; }

// Appends the spikes of a train that are heard to a list of n.
template <class L, class G>
SN_DEV u32 ev_gather(const typename L::T* train, u32 sample, u32 n, typename L::T* times, u32* ids) {
    for (u32 first = 0; first < G::SENDERS; first += blockDim.x) {
        const u32 sender = first + threadIdx.x;
        const bool is_sender = sender < G::SENDERS;
        u32 mine = 0, total;
        for (u32 slot = 0; is_sender && slot < G::SLOTS; ++slot)
            mine += ev_hears<L>(train[((u64)slot * L::BATCH + sample) * G::SENDERS + sender]) ? 1 : 0;
        u32 place = n + ev_scan(mine, total);
        for (u32 slot = 0; mine > 0 && slot < G::SLOTS; ++slot) {
            const typename L::T time = train[((u64)slot * L::BATCH + sample) * G::SENDERS + sender];
            if (!ev_hears<L>(time)) continue;
            // Adding 0 makes a negative 0 a proper one.
            times[place] = time + (typename L::T)0;
            ids[place] = G::FIRST + sender * G::SLOTS + slot;
            ++place;
        }
        n += total;
    }
    return n;
}

SN_DEV bool ev_before(double a, double b) { return a < b; }

// One round of sorting: every two runs become one, what is equal stays in order. Each element finds its place by itself.
template <class K> SN_DEV void ev_merge(u32 n, u32 width, const K* keys, const u32* ids, K* to_keys, u32* to_ids) {
    for (u32 at = threadIdx.x; at < n; at += blockDim.x) {
        const u32 start = at & ~(2 * width - 1);
        const u32 middle = start + width < n ? start + width : n, end = start + 2 * width < n ? start + 2 * width : n;
        const bool is_left = at < middle;
        const K key = keys[at];
        u32 low = is_left ? middle : start, high = is_left ? end : middle;
        const u32 others = low;
        while (low < high) {
            const u32 half = (low + high) / 2;
            if (is_left ? ev_before(keys[half], key) : !ev_before(key, keys[half])) low = half + 1;
            else high = half;
        }
        const u32 place = at - (is_left ? 0 : middle - start) + (low - others);
        to_keys[place] = key;
        to_ids[place] = ids[at];
    }
}

// Sorts between two buffers; the result is in the first.
template <class K> SN_DEV void ev_sort_between(u32 n, K* keys, u32* ids, K* other_keys, u32* other_ids) {
    K* from_keys = keys;
    u32* from_ids = ids;
    for (u32 width = 1; width < n; width *= 2) {
        ev_merge(n, width, from_keys, from_ids, other_keys, other_ids);
        __syncthreads();
        K* const keys_behind = from_keys;
        u32* const ids_behind = from_ids;
        from_keys = other_keys;
        from_ids = other_ids;
        other_keys = keys_behind;
        other_ids = ids_behind;
    }
    if (from_keys != keys)
        for (u32 at = threadIdx.x; at < n; at += blockDim.x) {
            keys[at] = from_keys[at];
            ids[at] = from_ids[at];
        }
    __syncthreads();
}

// Sorts a list by its keys, equal ones as they stand, in shared memory where it fits.
template <class K> SN_DEV void ev_sort(u32 n, K* keys, u32* ids, K* other_keys, u32* other_ids) {
    constexpr u32 MOST = 8192 / sizeof(K);
    __shared__ K own_keys[2][MOST];
    __shared__ u32 own_ids[2][MOST];
    __syncthreads();
    if (n > MOST) {
        ev_sort_between(n, keys, ids, other_keys, other_ids);
        return;
    }
    for (u32 at = threadIdx.x; at < n; at += blockDim.x) {
        own_keys[0][at] = keys[at];
        own_ids[0][at] = ids[at];
    }
    __syncthreads();
    ev_sort_between(n, own_keys[0], own_ids[0], own_keys[1], own_ids[1]);
    for (u32 at = threadIdx.x; at < n; at += blockDim.x) {
        keys[at] = own_keys[0][at];
        ids[at] = own_ids[0][at];
    }
    __syncthreads();
}

// How a sender of a group reaches a pixel of the layer, if it does.
template <class L, class G> SN_DEV bool ev_reaches(u32 sender, u32 pixel, ev_synapse& synapse) {
    const u32 from = sender / G::CIN, channel = sender % G::CIN;
    const i32 y = (i32)(from / G::IMAGE_W / G::POOL_H), x = (i32)(from % G::IMAGE_W / G::POOL_W);
    if (y >= (i32)G::IN_H || x >= (i32)G::IN_W) return false;
    const i32 down = y + (i32)G::PAD_H - (i32)(pixel / L::OUT_W * G::STRIDE_H);
    const i32 right = x + (i32)G::PAD_W - (i32)(pixel % L::OUT_W * G::STRIDE_W);
    if (down < 0 || right < 0 || down % (i32)G::DILATION_H != 0 || right % (i32)G::DILATION_W != 0) return false;
    const u32 kh = (u32)down / G::DILATION_H, kw = (u32)right / G::DILATION_W;
    if (kh >= G::KERNEL_H || kw >= G::KERNEL_W) return false;
    const u32 part = channel / (G::CIN / G::GROUPS), within = channel % (G::CIN / G::GROUPS);
    synapse.row = G::ROW + (within * G::KERNEL_H + kh) * G::KERNEL_W + kw;
    synapse.port = G::PORT;
    synapse.first = part * (L::COUT / G::GROUPS);
    synapse.end = synapse.first + L::COUT / G::GROUPS;
    return true;
}

// Transposes a matrix of so many rows and columns, 32 x 32 elements a block of 256 threads; of several that lie `stride`
// elements apart, the sum.
template <class T> SN_DEV void ev_transpose(const T* from, u32 parts, u64 stride, u32 rows, u32 columns, T* to) {
    __shared__ T tile[32][33];
    const u32 across = (columns + 31) / 32, x = threadIdx.x & 31u;
    const u32 row = blockIdx.x / across * 32, column = blockIdx.x % across * 32;
    for (u32 y = threadIdx.x >> 5; y < 32; y += 8) {
        if (row + y >= rows || column + x >= columns) continue;
        const u64 place = (u64)(row + y) * columns + column + x;
        T sum = from[place];
        for (u32 part = 1; part < parts; ++part) sum += from[part * stride + place];
        tile[y][x] = sum;
    }
    __syncthreads();
    for (u32 y = threadIdx.x >> 5; y < 32; y += 8)
        if (row + x < rows && column + y < columns) to[(u64)(column + y) * rows + row + x] = tile[x][y];
}
