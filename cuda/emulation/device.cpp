#include "device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>

namespace snn {

std::recursive_mutex lock;
std::map<DevicePointer, size_t> memory;
std::map<u8*, size_t> pinned;
Stream default_stream;
std::vector<Stream*> streams = {&default_stream};
u64 n_allocations, bytes_now, bytes_most;
Answer failure = SUCCESS;
std::string failure_text;

static const u8 GUARD = 0xe5;
static const size_t GUARD_BYTES = 256;
static char* stacks;

static const char* variable(const char* name, const char* otherwise) {
    const char* const value = getenv(name);
    return value && *value ? value : otherwise;
}

u32 capability() {
    const char* const text = variable("SNN_EMULATION_CAPABILITY", "8.0");
    const char* const dot = strchr(text, '.');
    return (u32)atoi(text) * 10 + (dot ? (u32)atoi(dot + 1) : 0);
}

// The schedules that each kernel runs with, whose results must be the same.
static std::vector<u64> schedules() {
    std::vector<u64> all;
    for (const char* at = variable("SNN_EMULATION_SEED", "0"); at; at = strchr(at, ',') ? strchr(at, ',') + 1 : nullptr)
        all.push_back(strtoull(at, nullptr, 10));
    return all;
}

static void fail(Answer answer, const std::string& text) {
    if (failure != SUCCESS) return;
    failure = answer;
    failure_text = text;
    fprintf(stderr, "CPU emulation: %s\n", text.c_str());
}

Stream* stream_of(void* handle) { return (u64)handle <= 2 ? &default_stream : (Stream*)handle; }

void do_next(Stream& stream) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    // What follows a failure is not done.
    if (failure == SUCCESS) work();
    ++stream.done;
}
void do_until(Stream& stream, u64 done) {
    while (stream.done < done) do_next(stream);
}
void do_everything() {
    for (Stream* stream : streams) do_until(*stream, stream->given);
}

bool is_refused() {
    bool is_refused = false;
    for (Stream* stream : streams)
        if (stream->capture && stream->capture->thread == std::this_thread::get_id())
            stream->capture->is_spoilt = is_refused = true;
    return is_refused;
}

Answer give(Stream& stream, Work work) {
    if (stream.capture) {
        if (stream.capture->is_spoilt) return CAPTURE_INVALIDATED;
        stream.capture->work.push_back(std::move(work));
        return SUCCESS;
    }
    stream.queue.push_back(std::move(work));
    ++stream.given;
    return SUCCESS;
}

bool is_within(DevicePointer at, size_t bytes) {
    auto next = memory.upper_bound(at);
    if (next == memory.begin()) return false;
    --next;
    return at + bytes <= next->first + next->second;
}

bool is_pinned(const void* at, size_t bytes) {
    auto next = pinned.upper_bound((u8*)at);
    if (next == pinned.begin()) return false;
    --next;
    return (u8*)at + bytes <= next->first + next->second;
}

static u8* guard_before(DevicePointer at) { return (u8*)at - GUARD_BYTES; }

// AddressSanitizer's, where it is.
static void mark(const char* function, const void* at, size_t bytes) {
    static const auto call = [](const char* name) { return (void (*)(const volatile void*, size_t))dlsym(RTLD_DEFAULT, name); };
    if (const auto found = call(function)) found(at, bytes);
}
static void forbid(const void* at, size_t bytes) { mark("__asan_poison_memory_region", at, bytes); }
static void permit(const void* at, size_t bytes) { mark("__asan_unpoison_memory_region", at, bytes); }

Answer allocate(DevicePointer* at, size_t bytes) {
    if (!at || bytes == 0) return INVALID_VALUE;
    if (bytes > MEMORY_BYTES || bytes_now + bytes > MEMORY_BYTES) return OUT_OF_MEMORY;
    void* raw = nullptr;
    if (posix_memalign(&raw, GUARD_BYTES, bytes + 2 * GUARD_BYTES)) return OUT_OF_MEMORY;
    memset(raw, GUARD, bytes + 2 * GUARD_BYTES);
    u8* const start = (u8*)raw + GUARD_BYTES;
    memset(start, POISON, bytes);
    forbid(raw, GUARD_BYTES);
    forbid(start + bytes, GUARD_BYTES);
    *at = (DevicePointer)start;
    memory[*at] = bytes;
    ++n_allocations;
    bytes_now += bytes;
    bytes_most = std::max(bytes_most, bytes_now);
    return SUCCESS;
}

Answer release(DevicePointer at) {
    const auto found = memory.find(at);
    if (found == memory.end()) return INVALID_VALUE;
    permit(guard_before(at), GUARD_BYTES);
    permit((u8*)at + found->second, GUARD_BYTES);
    memset((u8*)at, POISON, found->second);
    bytes_now -= found->second;
    free(guard_before(at));
    memory.erase(found);
    return SUCCESS;
}

// Byte by byte, since AddressSanitizer watches the functions for memory.
static bool is_whole(const u8* guard) {
    for (size_t i = 0; i < GUARD_BYTES; ++i)
        if (((const volatile u8*)guard)[i] != GUARD) return false;
    return true;
}

static void check_guards(const Kernel& kernel) {
    for (const auto& [at, bytes] : memory) {
        const bool is_before = !is_whole(guard_before(at)), is_behind = !is_whole((u8*)at + bytes);
        if (!is_before && !is_behind) continue;
        char text[200];
        snprintf(text, sizeof text, "`%s` wrote %s memory of %zu bytes", kernel.name, is_before ? "before" : "behind", bytes);
        return fail(ILLEGAL_ADDRESS, text);
    }
}

static std::vector<std::vector<u8>> all_memory() {
    std::vector<std::vector<u8>> all;
    for (const auto& [at, bytes] : memory) all.emplace_back((u8*)at, (u8*)at + bytes);
    return all;
}
static void set_all_memory(const std::vector<std::vector<u8>>& all) {
    size_t i = 0;
    for (const auto& [at, bytes] : memory) memcpy((u8*)at, all[i++].data(), bytes);
}

static bool make_stacks() {
    if (stacks) return true;
    void* const made = mmap(nullptr, STACKS, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (made == MAP_FAILED) return false;
    for (u32 i = 0; i < MOST_THREADS; ++i)
        mprotect((char*)made + i * (STACK + BETWEEN_STACKS) + BETWEEN_STACKS, STACK, PROT_READ | PROT_WRITE);
    stacks = (char*)made;
    return true;
}

static void run_once(const Function& function, Launch launch, u64 seed) {
    char text[600] = "";
    launch.seed = seed;
    launch.stacks = stacks;
    launch.message = text;
    launch.message_bytes = sizeof text;
    if (!function.module->launch(&launch)) return fail(LAUNCH_FAILED, text);
    check_guards(*function.kernel);
}

void run(const Function& function, const Launch& launch) {
    if (!make_stacks()) return fail(OUT_OF_MEMORY, "there is no memory for stacks");
    const std::vector<u64> seeds = schedules();
    if (seeds.size() == 1) return run_once(function, launch, seeds[0]);
    const std::vector<std::vector<u8>> before = all_memory();
    std::vector<std::vector<u8>> first;
    for (u64 seed : seeds) {
        if (!first.empty()) set_all_memory(before);
        run_once(function, launch, seed);
        if (failure != SUCCESS) return;
        if (first.empty()) {
            first = all_memory();
        } else if (all_memory() != first) {
            char text[200];
            snprintf(text, sizeof text, "`%s` gives different results with the schedules %llu and %llu", function.kernel->name,
                     seeds[0], seed);
            return fail(LAUNCH_FAILED, text);
        }
    }
}

}  // namespace snn
