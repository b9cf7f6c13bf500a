// Threads of a block as fibers of one thread of the system. A fiber runs until it has to wait; a thread that never waits
// costs no more than a call.
#include "runtime.h"

// AddressSanitizer's, where it is.
extern "C" void __asan_unpoison_memory_region(const volatile void*, size_t) __attribute__((weak));

// Keeps the registers that a call keeps on the stack whose top goes to *save, and goes on with the stack `to`.
extern "C" void snn_switch(void** save, void* to);
#if defined(__x86_64__)
asm(R"(
.text
.hidden snn_switch
.globl snn_switch
.type snn_switch,@function
snn_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size snn_switch,.-snn_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.hidden snn_switch
.globl snn_switch
.type snn_switch,%function
snn_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size snn_switch,.-snn_switch
)");
#else
#error "fibers are written for x86-64 and aarch64"
#endif

namespace snn {

Here* here;

namespace {

struct Fiber {
    void* top;
    char* stack;
};
Fiber fibers[MOST_THREADS];
Fiber* idle[MOST_THREADS];
u32 n_idle;
// Threads that can go on, in a ring.
Thread* ready[MOST_THREADS];
u32 first_ready, n_ready, n_live;
Thread* waiting[MOST_THREADS];  // at the barrier
u32 n_waiting;
void* main_stack;

void make_ready(Thread& thread) {
    thread.waits = Waits::no;
    ready[(first_ready + n_ready++) % MOST_THREADS] = &thread;
}

const char* name_of(Waits waits) {
    switch (waits) {
    case Waits::no: return "nothing";
    case Waits::barrier: return "__syncthreads";
    case Waits::lanes: return "other lanes of its warp";
    case Waits::mbarrier: return "a barrier in shared memory";
    }
    return "";
}

// All live threads wait: says for what, of two that wait at different places.
[[noreturn]] void deadlock() {
    const Thread *one = nullptr, *other = nullptr;
    for (const Thread& thread : threads) {
        if (thread.waits == Waits::no) continue;
        if (!one) one = &thread;
        else if (thread.waits != one->waits || !is_same(thread.site, one->site)) {
            other = &thread;
            break;
        }
    }
    char text[256];
    int n = snprintf(text, sizeof text, "deadlock: thread %u waits for %s", one->linear, name_of(one->waits));
    if (other)
        snprintf(text + n, sizeof text - (size_t)n, ", thread %u for %s at line %d", other->linear, name_of(other->waits),
                 other->site.line);
    fail(text, one->site);
}

// The next thread to go on; none if all have ended.
Thread* pick() {
    if (!bulks.empty() && schedule.is_random() && schedule.below(8) == 0) finish_bulk(schedule.below((u32)bulks.size()));
    while (n_ready == 0) {
        if (n_live == 0) return nullptr;
        if (bulks.empty()) deadlock();
        finish_bulk(schedule.is_random() ? schedule.below((u32)bulks.size()) : 0);
    }
    if (schedule.is_random()) {
        Thread*& chosen = ready[(first_ready + schedule.below(n_ready)) % MOST_THREADS];
        Thread* const thread = chosen;
        chosen = ready[first_ready];
        ready[first_ready] = thread;
    }
    Thread* const thread = ready[first_ready];
    first_ready = (first_ready + 1) % MOST_THREADS;
    --n_ready;
    return thread;
}

void release_barrier() {
    if (n_waiting == 0 || n_waiting != n_live) return;
    for (u32 i = 0; i < n_waiting; ++i) make_ready(*waiting[i]);
    n_waiting = 0;
}

void thread_ends(Thread& thread) {
    --n_live;
    Warp& warp = warps[thread.warp];
    warp.alive &= ~(1u << thread.lane);
    for (const Meeting& meeting : warp.meetings)
        if (meeting.mask >> thread.lane & 1u) fail("a lane that is named in the mask has exited", meeting.site);
    release_barrier();
}

void run_fiber();

// A fiber that has run nothing yet.
void* fresh(Fiber& fiber) {
    u64* top = (u64*)(fiber.stack + STACK);
#if defined(__x86_64__)
    *--top = 0;
    *--top = (u64)&run_fiber;
    for (int i = 0; i < 6; ++i) *--top = 0;
#else
    for (int i = 0; i < 20; ++i) *--top = 0;
    top[11] = (u64)&run_fiber;
#endif
    return top;
}

void go_on_with(Thread& thread, void** save) {
    here = &thread;
    Fiber*& fiber = (Fiber*&)thread.fiber;
    if (!fiber) {
        fiber = idle[--n_idle];
        fiber->top = fresh(*fiber);
    }
    snn_switch(save, fiber->top);
}

// Runs threads from their beginning, one after another, until one goes on that has a fiber already.
void run_fiber() {
    for (;;) {
        Thread& thread = self();
        launch->kernel->run(launch->arguments);
        thread_ends(thread);
        Fiber* const mine = (Fiber*)thread.fiber;
        Thread* const next = pick();
        if (next && !next->fiber) {
            next->fiber = mine;
            here = next;
            continue;
        }
        idle[n_idle++] = mine;
        void* ended;
        if (next) go_on_with(*next, &ended);
        else snn_switch(&ended, main_stack);
    }
}

// Lets others run until the thread is woken.
void sleep() {
    Thread& thread = self();
    Thread* const next = pick();
    if (next == &thread) return;
    go_on_with(*next, &((Fiber*)thread.fiber)->top);
}

void run_block() {
    first_ready = n_ready = n_waiting = 0;
    n_idle = n_live = (u32)threads.size();
    for (u32 i = 0; i < n_idle; ++i) idle[i] = &fibers[i];
    for (u32 t = 0; t < n_live; ++t) make_ready(threads[schedule.is_reversed() ? n_live - 1 - t : t]);
    go_on_with(*pick(), &main_stack);
}

}  // namespace

Thread& self() { return *static_cast<Thread*>(here); }

Guard::Guard() {}
Guard::~Guard() {}

void fail(const char* what, Site site) {
    report(what, site);
    // Nothing of the block goes on; kernels own nothing that would have to be given back.
    void* ended;
    snn_switch(&ended, main_stack);
    abort();
}

void barrier(Site site) {
    Thread& thread = self();
    if (n_waiting > 0 && !is_same(waiting[0]->site, site)) {
        char text[128];
        snprintf(text, sizeof text, "threads of a block wait at different __syncthreads, the other at line %d",
                 waiting[0]->site.line);
        fail(text, site);
    }
    thread.waits = Waits::barrier;
    thread.site = site;
    waiting[n_waiting++] = &thread;
    release_barrier();
    sleep();
}

void meet(u32 mask, Together what, void* part, Site site) {
    Thread& thread = self();
    Warp& warp = warps[thread.warp];
    if (!(mask >> thread.lane & 1u)) fail("a lane takes part that the mask does not name", site);
    if (mask & ~warp.alive) fail("a lane that is named in the mask has exited", site);
    Meeting* meeting = nullptr;
    for (Meeting& other : warp.meetings) {
        if (!(other.mask & mask)) continue;
        if (other.mask != mask || other.what != what || !is_same(other.site, site)) {
            char text[128];
            snprintf(text, sizeof text, "lanes of a warp do different things together, others are at line %d", other.site.line);
            fail(text, site);
        }
        meeting = &other;
    }
    if (!meeting) {
        warp.meetings.push_back({mask, 0, what, site, {}});
        meeting = &warp.meetings.back();
    }
    meeting->arrived |= 1u << thread.lane;
    meeting->part[thread.lane] = part;
    if (meeting->arrived != mask) {
        thread.waits = Waits::lanes;
        thread.site = site;
        sleep();
        return;
    }
    what(warp, meeting->part, mask, site);
    for (u32 l = 0; l < LANES; ++l)
        if (mask >> l & 1u && l != thread.lane) make_ready(threads[warp.first + l]);
    *meeting = warp.meetings.back();
    warp.meetings.pop_back();
    // Who comes last is not ahead of the others in every schedule.
    if (schedule.is_random()) {
        make_ready(thread);
        sleep();
    }
}

void sleep_until_phase_ends(u64* barrier, u32 parity, Site site) {
    Thread& thread = self();
    thread.waits = Waits::mbarrier;
    thread.site = site;
    thread.mbarrier = barrier;
    thread.parity = parity;
    sleep();
}

void wake_phase(u64* barrier, u32 ended_parity) {
    for (Thread& thread : threads)
        if (thread.waits == Waits::mbarrier && thread.mbarrier == barrier && thread.parity == ended_parity) make_ready(thread);
}

}  // namespace snn

extern "C" __attribute__((visibility("default"))) bool snn_launch(const snn::Launch* asked) {
    using namespace snn;
    for (u32 i = 0; i < MOST_THREADS; ++i) fibers[i].stack = asked->stacks + i * (STACK + BETWEEN_STACKS) + BETWEEN_STACKS;
    run_blocks(*asked, run_block);
    // Threads that do not come to their end leave marks on their stacks.
    if (has_failed && __asan_unpoison_memory_region) __asan_unpoison_memory_region(asked->stacks, STACKS);
    return !has_failed;
}
