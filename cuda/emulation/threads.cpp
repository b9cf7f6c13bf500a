// Threads of a block as threads of the system, for ThreadSanitizer. Each warp, the barrier of the block and all that is
// asynchronous have a lock of their own, so that what meets elsewhere is not taken for order between threads. Who waits for
// what never comes waits forever: fibers find that.
#include "runtime.h"

namespace snn {

__thread Here* here;

namespace {

struct Meetings {
    std::mutex lock;
    std::condition_variable over;
    u64 done[LANES];
};
Meetings meetings[MOST_THREADS / LANES];
std::mutex barrier_lock, memory_lock;
std::condition_variable barrier_over;
std::condition_variable_any phase_over;
u32 n_live, n_waiting;
u64 barriers;
Site barrier_site;

void release_barrier() {
    if (n_waiting == 0 || n_waiting != n_live) return;
    n_waiting = 0;
    ++barriers;
    barrier_over.notify_all();
}

void thread_ends(Thread& thread) {
    {
        std::lock_guard<std::mutex> hold(meetings[thread.warp].lock);
        Warp& warp = warps[thread.warp];
        warp.alive &= ~(1u << thread.lane);
        for (const Meeting& meeting : warp.meetings)
            if (meeting.mask >> thread.lane & 1u) fail("a lane that is named in the mask has exited", meeting.site);
    }
    std::lock_guard<std::mutex> hold(barrier_lock);
    --n_live;
    release_barrier();
}

void run_block() {
    n_live = (u32)threads.size();
    n_waiting = 0;
    std::vector<std::thread> running;
    for (Thread& thread : threads)
        running.emplace_back([&thread] {
            here = &thread;
            launch->kernel->run(launch->arguments);
            thread_ends(thread);
        });
    for (std::thread& thread : running) thread.join();
}

}  // namespace

Thread& self() { return *static_cast<Thread*>(here); }

Guard::Guard() { memory_lock.lock(); }
Guard::~Guard() { memory_lock.unlock(); }

void fail(const char* what, Site site) {
    report(what, site);
    fprintf(stderr, "%s\n", launch->message);
    abort();
}

void barrier(Site site) {
    std::unique_lock<std::mutex> hold(barrier_lock);
    if (n_waiting > 0 && !is_same(barrier_site, site)) fail("threads of a block wait at different __syncthreads", site);
    barrier_site = site;
    ++n_waiting;
    const u64 mine = barriers;
    release_barrier();
    barrier_over.wait(hold, [&] { return barriers != mine; });
}

void meet(u32 mask, Together what, void* part, Site site) {
    Thread& thread = self();
    Warp& warp = warps[thread.warp];
    Meetings& of_warp = meetings[thread.warp];
    std::unique_lock<std::mutex> hold(of_warp.lock);
    if (!(mask >> thread.lane & 1u)) fail("a lane takes part that the mask does not name", site);
    if (mask & ~warp.alive) fail("a lane that is named in the mask has exited", site);
    u32 at = (u32)warp.meetings.size();
    for (u32 i = 0; i < warp.meetings.size(); ++i) {
        const Meeting& other = warp.meetings[i];
        if (!(other.mask & mask)) continue;
        if (other.mask != mask || other.what != what || !is_same(other.site, site))
            fail("lanes of a warp do different things together", site);
        at = i;
    }
    if (at == warp.meetings.size()) warp.meetings.push_back({mask, 0, what, site, {}});
    Meeting& meeting = warp.meetings[at];
    meeting.arrived |= 1u << thread.lane;
    meeting.part[thread.lane] = part;
    if (meeting.arrived != mask) {
        const u64 mine = of_warp.done[thread.lane];
        of_warp.over.wait(hold, [&] { return of_warp.done[thread.lane] != mine; });
        return;
    }
    what(warp, meeting.part, mask, site);
    for (u32 l = 0; l < LANES; ++l) of_warp.done[l] += mask >> l & 1u;
    meeting = warp.meetings.back();
    warp.meetings.pop_back();
    of_warp.over.notify_all();
}

void sleep_until_phase_ends(u64* barrier, u32 parity, Site) {
    while (!bulks.empty()) finish_bulk(0);
    phase_over.wait(memory_lock, [&] { return (*barrier & 1u) != parity; });
}

void wake_phase(u64*, u32) { phase_over.notify_all(); }

}  // namespace snn

extern "C" __attribute__((visibility("default"))) bool snn_launch(const snn::Launch* asked) {
    snn::run_blocks(*asked, snn::run_block);
    return true;
}
