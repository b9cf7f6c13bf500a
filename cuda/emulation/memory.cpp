// Shared memory, copies in the background, barriers in shared memory.
#include "runtime.h"

// Variables in shared memory are the only ones that texts have without a value. They lie between those of two objects that
// are linked before and behind (shared-begin.cpp, shared-end.cpp).
extern "C" unsigned char snn_shared_begin[64], snn_shared_end[64];

extern "C" __attribute__((visibility("default"))) snn::u64 snn_static_bytes() {
    return (snn::u64)snn_shared_end - (snn::u64)(snn_shared_begin + sizeof snn_shared_begin);
}

namespace snn {

Block block;
Schedule schedule;
std::vector<Thread> threads;
std::vector<Warp> warps;
std::vector<Bulk> bulks;
const Launch* launch;
bool has_failed;

static unsigned char* dynamic_memory;

void report(const char* what, Site site) {
    has_failed = true;
    snprintf(launch->message, launch->message_bytes, "%s:%d: in `%s`: %s", site.file, site.line, launch->kernel->name, what);
}

// By bytes, since AddressSanitizer's functions for memory would find the gaps that it leaves between variables.
__attribute__((optimize("no-tree-loop-distribute-patterns"))) static void poison(unsigned char* from,
                                                                                 const unsigned char* end) {
    for (; from < end; ++from) *from = POISON;
}

void begin_block(const Launch& l, Vec3 index) {
    block.block_index = index;
    if (dynamic_memory) memset(dynamic_memory, POISON, l.dynamic_bytes);
    poison(snn_shared_begin + sizeof snn_shared_begin, snn_shared_end);
    const u32 n = l.block[0] * l.block[1] * l.block[2];
    threads.resize(n);
    warps.resize((n + LANES - 1) / LANES);
    bulks.clear();
    for (u32 w = 0; w < warps.size(); ++w) {
        const u32 lanes = n - w * LANES;
        warps[w].first = w * LANES;
        warps[w].alive = lanes >= LANES ? ~0u : (1u << lanes) - 1;
        warps[w].meetings.clear();
        warps[w].products.clear();
        warps[w].product_groups = 0;
        warps[w].is_fenced = false;
    }
    for (u32 t = 0; t < n; ++t) {
        Thread& thread = threads[t];
        thread.thread_index = {t % l.block[0], t / l.block[0] % l.block[1], t / (l.block[0] * l.block[1])};
        thread.linear = t;
        thread.lane = t % LANES;
        thread.warp = t / LANES;
        thread.waits = Waits::no;
        thread.copies.clear();
        thread.groups = 0;
        thread.fiber = nullptr;
    }
}

void check_shared(const void* at, u64 bytes, const char* what, Site site) {
    const unsigned char* p = (const unsigned char*)at;
    const bool is_dynamic = dynamic_memory && p >= dynamic_memory && p + bytes <= dynamic_memory + launch->dynamic_bytes;
    const bool is_static = p >= snn_shared_begin + sizeof snn_shared_begin && p + bytes <= snn_shared_end;
    if (is_dynamic || is_static) return;
    char text[96];
    snprintf(text, sizeof text, "%s outside of shared memory", what);
    fail(text, site);
}

static void check_aligned(const void* at, u32 to, const char* what, Site site) {
    if ((u64)at % to == 0) return;
    char text[96];
    snprintf(text, sizeof text, "%s is not aligned to %u bytes", what, to);
    fail(text, site);
}

static void arrive(const Copy& copy) {
    if (copy.is_there) memcpy(copy.to, copy.from, copy.bytes);
    else memset(copy.to, 0, copy.bytes);
}

void copy_async(void* to, const void* from, u32 bytes, bool is_there, Site site) {
    check_shared(to, bytes, "an asynchronous copy writes", site);
    check_aligned(to, bytes, "the target of an asynchronous copy", site);
    check_aligned(from, bytes, "the source of an asynchronous copy", site);
    Thread& thread = self();
    const Copy copy{to, from, bytes, thread.groups, is_there};
    if (schedule.is_early()) arrive(copy);
    else thread.copies.push_back(copy);
}

void copy_commit() { ++self().groups; }

void copy_wait(u32 left) {
    Thread& thread = self();
    u32 kept = 0;
    for (const Copy& copy : thread.copies) {
        if (copy.group + left < thread.groups) arrive(copy);
        else thread.copies[kept++] = copy;
    }
    thread.copies.resize(kept);
}

// A barrier's word: the parity of its phase, a bit that is 0 in every barrier that was initialized, how many arrive, how
// many are missing, how many bytes are missing.
struct Word {
    u64 parity : 1, is_poison : 1, count : 15, missing : 15, bytes : 32;
};

static Word load(const u64* barrier, Site site) {
    check_shared(barrier, 8, "a barrier is", site);
    check_aligned(barrier, 8, "a barrier", site);
    Word word;
    memcpy(&word, barrier, 8);
    if (word.is_poison) fail("a barrier in shared memory is used before it is initialized", site);
    return word;
}

static void store(u64* barrier, Word word) {
    if (word.missing == 0 && word.bytes == 0) {
        const u32 ended = (u32)word.parity;
        word.parity = !ended;
        word.missing = word.count;
        memcpy(barrier, &word, 8);
        wake_phase(barrier, ended);
    } else {
        memcpy(barrier, &word, 8);
    }
}

void mbarrier_init(u64* barrier, u32 count, Site site) {
    Guard guard;
    check_shared(barrier, 8, "a barrier is", site);
    check_aligned(barrier, 8, "a barrier", site);
    if (count == 0 || count > MOST_THREADS) fail("a barrier counts no thread, or too many", site);
    const Word word{0, 0, count, count, 0};
    memcpy(barrier, &word, 8);
}

void mbarrier_arrive(u64* barrier, u32 bytes, Site site) {
    Guard guard;
    Word word = load(barrier, site);
    word.bytes = word.bytes + bytes;
    word.missing = word.missing - 1;
    store(barrier, word);
}

void mbarrier_wait(u64* barrier, u32 parity, Site site) {
    Guard guard;
    if (load(barrier, site).parity == parity % 2) sleep_until_phase_ends(barrier, parity % 2, site);
}

void finish_bulk(u32 index) {
    const Bulk bulk = bulks[index];
    bulks.erase(bulks.begin() + index);
    memcpy(bulk.to, bulk.from, bulk.bytes);
    Word word = load(bulk.barrier, bulk.site);
    word.bytes = word.bytes - bulk.bytes;
    store(bulk.barrier, word);
}

void bulk_load(void* to, const void* from, u32 bytes, u64* barrier, Site site) {
    Guard guard;
    check_shared(to, bytes, "a bulk copy writes", site);
    check_aligned(to, 16, "the target of a bulk copy", site);
    check_aligned(from, 16, "the source of a bulk copy", site);
    if (bytes == 0 || bytes % 16 != 0) fail("a bulk copy is not of a multiple of 16 bytes", site);
    load(barrier, site);
    bulks.push_back({to, from, bytes, barrier, site});
    if (schedule.is_early()) finish_bulk((u32)bulks.size() - 1);
}

// How far places of blocks are apart that run one after another: without a factor in common with their number, so that all
// come.
static u64 step_between(u64 seed, u64 blocks) {
    if (seed <= 1) return 1;
    const auto common = [](u64 a, u64 b) {
        while (b) {
            const u64 r = a % b;
            a = b;
            b = r;
        }
        return a;
    };
    u64 step = (seed * 7919 + 12345) % blocks;
    while (common(step, blocks) != 1) ++step;
    return step;
}

void run_blocks(const Launch& l, void (*run_block)()) {
    launch = &l;
    has_failed = false;
    const u64 blocks = (u64)l.grid[0] * l.grid[1] * l.grid[2], step = step_between(l.seed, blocks);
    block.block_size = {l.block[0], l.block[1], l.block[2]};
    block.grid_size = {l.grid[0], l.grid[1], l.grid[2]};
    // Of exactly the size that was asked for, so that AddressSanitizer sees who goes beyond.
    void* memory = nullptr;
    if (l.dynamic_bytes && posix_memalign(&memory, 128, l.dynamic_bytes)) memory = nullptr;
    block.dynamic_shared = dynamic_memory = (unsigned char*)memory;
    for (u64 i = 0; i < blocks && !has_failed; ++i) {
        const u64 at = l.seed == 1 ? blocks - 1 - i : i * step % blocks;
        schedule.begin(l.seed, at);
        begin_block(l, {(u32)(at % l.grid[0]), (u32)(at / l.grid[0] % l.grid[1]), (u32)(at / l.grid[0] / l.grid[1])});
        run_block();
        if (!has_failed && !bulks.empty()) report("a bulk copy is under way when its block ends", bulks[0].site);
    }
    free(dynamic_memory);
    dynamic_memory = nullptr;
}

}  // namespace snn
