// What the stand-ins for NVIDIA's libraries share: numbers in memory, and work that a stream does in its order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>

#define EXPORT extern "C" __attribute__((visibility("default")))

extern "C" int cuLaunchHostFunc(void* stream, void (*function)(void*), void* with);

namespace snn {

enum class Number { f64, f32, bf16, f16 };

inline size_t bytes_of(Number number) { return number == Number::f64 ? 8 : number == Number::f32 ? 4 : 2; }
inline float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
inline uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}
inline double load(const void* from, Number number, size_t at) {
    switch (number) {
    case Number::f64: return ((const double*)from)[at];
    case Number::f32: return ((const float*)from)[at];
    case Number::bf16: return from_bits((uint32_t)((const uint16_t*)from)[at] << 16);
    default: return (float)((const _Float16*)from)[at];
    }
}
inline void store(void* to, Number number, size_t at, double value) {
    switch (number) {
    case Number::f64: ((double*)to)[at] = value; break;
    case Number::f32: ((float*)to)[at] = (float)value; break;
    case Number::bf16: {
        const uint32_t bits = to_bits((float)value);
        // To nearest, even where two are as near.
        ((uint16_t*)to)[at] = value != value ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        break;
    }
    default: ((_Float16*)to)[at] = (_Float16)(float)value;
    }
}
// With 10 bits of mantissa, to nearest, away from zero where two are as near.
inline double rounded_to_tf32(double value) { return from_bits((to_bits((float)value) + 0x1000) & 0xffffe000u); }

// A sum as devices have it: single precision but for factors of double precision.
struct Sum {
    bool is_double, by_tf32;
    double value = 0;
    void add(double a, double b) {
        if (by_tf32) a = rounded_to_tf32(a), b = rounded_to_tf32(b);
        value = is_double ? __builtin_fma(a, b, value) : __builtin_fmaf((float)a, (float)b, (float)value);
    }
};

// Gives work to a stream, or to what it captures, which may do it again and again: it is kept for ever.
inline int defer(void* stream, std::function<void()> work) {
    static std::mutex lock;
    static std::list<std::function<void()>> all;
    const std::lock_guard<std::mutex> turn(lock);
    all.push_back(std::move(work));
    return cuLaunchHostFunc(stream, [](void* work) { (*(std::function<void()>*)work)(); }, &all.back());
}

}  // namespace snn
