// Random numbers by Philox4x32-10, bit by bit those of the processor.
struct sn_words { u32 w[4]; };
// The random words of a block of a stream.
SN_DEV sn_words sn_block(u64 seed, u64 run, u64 stream, u64 block) {
    const u64 key = seed ^ (stream * 0x9E3779B97F4A7C15ull);
    const u32 high = (u32)(run >> 32);
    u32 c0 = (u32)block, c1 = (u32)(block >> 32) ^ (high << 16 | high >> 16), c2 = (u32)run, c3 = (u32)stream;
    u32 k0 = (u32)key, k1 = (u32)(key >> 32);
    for (i32 round = 0; round < 10; ++round) {
        const u64 p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
        c0 = (u32)(p1 >> 32) ^ c1 ^ k0;
        c1 = (u32)p1;
        c2 = (u32)(p0 >> 32) ^ c3 ^ k1;
        c3 = (u32)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    sn_words words;
    words.w[0] = c0; words.w[1] = c1; words.w[2] = c2; words.w[3] = c3;
    return words;
}
// In [0, 1), 24 random bits.
SN_DEV double sn_unit(u32 word) { return (double)(word >> 8) / 16777216.0; }

union sn_split { double f; u64 u; };
SN_DEV u32 sn_high(double x) { sn_split s; s.f = x; return (u32)(s.u >> 32); }

// Natural logarithm in (0, 1]: the argument is brought between the roots of 1/2 and 2, then a polynomial in f / (2 + f).
SN_DEV double sn_log(double x) {
    if (x == 1.0) return 0.0;
    sn_split s;
    s.f = x;
    u32 high = (u32)(s.u >> 32) + (0x3ff00000u - 0x3fe6a09eu);
    const double k = (double)((i32)(high >> 20) - 0x3ff);
    high = (high & 0x000fffffu) + 0x3fe6a09eu;
    s.u = (u64)high << 32 | (s.u & 0xffffffffull);
    const double f = s.f - 1.0;
    const double half_square = 0.5 * f * f;
    const double q = f / (2.0 + f);
    const double z = q * q;
    const double w = z * z;
    const double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    const double odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    const double r = odd + even;
    return q * (half_square + r) + k * 1.90821492927058770002e-10 - half_square + f + k * 6.93147180369123816490e-01;
}

// Cosine and sine of x + y for |x| up to a quarter of pi, y being the tail of x.
SN_DEV double sn_cos_kernel(double x, double y) {
    const double z = x * x;
    const double w2 = z * z;
    const double r = z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * 2.48015872894767294178e-05))
        + w2 * w2 * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11));
    const double half = 0.5 * z;
    const double w = 1.0 - half;
    return w + (((1.0 - w) - half) + (z * r - x * y));
}
SN_DEV double sn_sin_kernel(double x, double y) {
    const double z = x * x;
    const double w = z * z;
    const double r = 8.33333333332248946124e-03 + z * (-1.98412698298579493134e-04 + z * 2.75573137070700676789e-06)
        + z * w * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10);
    const double v = z * x;
    return x - ((z * (0.5 * y - v * r) - y) - v * -1.66666666666666324348e-01);
}
// Cosine in [0, 2 pi): the nearest multiple of half of pi is taken off in two parts, three where they cancel.
SN_DEV double sn_cos(double x) {
    const u32 high = sn_high(x);
    if (high <= 0x3fe921fbu) return high < 0x3e46a09eu ? 1.0 : sn_cos_kernel(x, 0.0);
    const i32 n = high <= 0x4002d97cu ? 1 : high <= 0x400f6a7au ? 2 : high <= 0x4015fdbcu ? 3 : 4;
    double r = x - n * 1.57079632673412561417e+00;
    double w = n * 6.07710050650619224932e-11;
    double y0 = r - w;
    const bool is_near = (high & 0xfffffu) == 0x921fbu || high == 0x4012d97cu;
    if (is_near && (i32)(high >> 20) - (i32)((sn_high(y0) >> 20) & 0x7ffu) > 16) {
        const double t = r;
        w = n * 6.07710050630396597660e-11;
        r = t - w;
        w = n * 2.02226624879595063154e-21 - ((t - r) - w);
        y0 = r - w;
    }
    const double y1 = (r - y0) - w;
    switch (n & 3) {
        case 0: return sn_cos_kernel(y0, y1);
        case 1: return -sn_sin_kernel(y0, y1);
        case 2: return -sn_cos_kernel(y0, y1);
        default: return sn_sin_kernel(y0, y1);
    }
}

struct sn_run { u64 seed; u64 run; i64 step; };
enum { SN_UNIFORM, SN_NORMAL, SN_BERNOULLI };

// Numbers `first..first + len` of a stream, a block of the generator a thread; `first` counts on with the step.
template <class T, int KIND> SN_DEV void sn_draw(T* out, const sn_run* run, u64 stream, u64 len, u64 step, double p) {
    const u32 size = KIND == SN_NORMAL ? 2 : 4;
    const u64 first = ((u64)run->step + step) * len;
    const u64 block = first / size + blockIdx.x * (u64)blockDim.x + threadIdx.x;
    if (block * size >= first + len) return;
    const sn_words words = sn_block(run->seed, run->run, stream, block);
    for (u32 at = 0; at < size; ++at) {
        const u64 element = block * size + at;
        if (element < first || element >= first + len) continue;
        double value;
        if (KIND == SN_NORMAL) {
            const double radius = sqrt(-2.0 * sn_log(1.0 - sn_unit(words.w[2 * at])));
            value = radius * sn_cos(6.283185307179586 * sn_unit(words.w[2 * at + 1]));
        } else {
            value = sn_unit(words.w[at]);
            if (KIND == SN_BERNOULLI) value = value < p ? 1.0 : 0.0;
        }
        out[element - first] = (T)value;
    }
}
