// Elementary functions from additions, products, quotients and square roots, so that every compiler gives the same bits.
// Errors are a few units in the last place.

SN_DEV double ev_fma(double a, double b, double c) { return fma(a, b, c); }
SN_DEV float ev_fma(float a, float b, float c) { return fmaf(a, b, c); }

union ev_double { double value; u64 bits; };
union ev_float { float value; u32 bits; };

SN_DEV double ev_of_bits(u64 bits) { ev_double x; x.bits = bits; return x.value; }
SN_DEV u64 ev_bits_of(double value) { ev_double x; x.value = value; return x.bits; }
SN_DEV double ev_infinity() { return ev_of_bits(0x7ff0000000000000ull); }
SN_DEV double ev_abs(double x) { return ev_of_bits(ev_bits_of(x) & 0x7fffffffffffffffull); }
SN_DEV bool ev_is_nan(double x) { return x != x; }
SN_DEV bool ev_is_finite(double x) { return ev_abs(x) < ev_infinity(); }
SN_DEV double ev_copysign(double x, double sign) {
    return ev_of_bits((ev_bits_of(x) & 0x7fffffffffffffffull) | (ev_bits_of(sign) & 0x8000000000000000ull));
}

// The next number above one that is not negative.
SN_DEV double ev_next(double x) { return ev_of_bits(ev_bits_of(x) + 1); }
SN_DEV float ev_next(float x) { ev_float y; y.value = x; y.bits += 1; return y.value; }

// e^x. Results below the range of normal numbers are 0.
SN_DEV double ev_exp(double x) {
    if (ev_is_nan(x)) return x;
    if (x < -708.0) return 0.0;
    if (x > 709.0) return ev_infinity();
    const double k = ev_fma(x, 1.4426950408889634, 6755399441055744.0) - 6755399441055744.0;
    const double r = ev_fma(k, -2.3190468138462996e-17, ev_fma(k, -0.6931471805599453, x));
    double p = 1.6059043836821613e-10;
    p = ev_fma(p, r, 2.08767569878681e-09);
    p = ev_fma(p, r, 2.505210838544172e-08);
    p = ev_fma(p, r, 2.7557319223985894e-07);
    p = ev_fma(p, r, 2.7557319223985893e-06);
    p = ev_fma(p, r, 2.48015873015873e-05);
    p = ev_fma(p, r, 0.0001984126984126984);
    p = ev_fma(p, r, 0.001388888888888889);
    p = ev_fma(p, r, 0.008333333333333333);
    p = ev_fma(p, r, 0.041666666666666664);
    p = ev_fma(p, r, 0.16666666666666666);
    p = ev_fma(p, r, 0.5);
    p = ev_fma(p, r, 1.0);
    p = ev_fma(p, r, 1.0);
    return p * ev_of_bits((u64)((i64)k + 1023) << 52);
}

SN_DEV float ev_exp(float x) {
    if (x != x) return x;
    if (x < -87.0f) return 0.0f;
    if (x > 88.0f) return (float)ev_infinity();
    const float k = ev_fma(x, 1.44269504f, 12582912.0f) - 12582912.0f;
    const float r = ev_fma(k, 1.90465421e-09f, ev_fma(k, -0.693147182f, x));
    float p = 0.000198412698f;
    p = ev_fma(p, r, 0.00138888889f);
    p = ev_fma(p, r, 0.00833333333f);
    p = ev_fma(p, r, 0.0416666667f);
    p = ev_fma(p, r, 0.166666667f);
    p = ev_fma(p, r, 0.5f);
    p = ev_fma(p, r, 1.0f);
    p = ev_fma(p, r, 1.0f);
    ev_float scale;
    scale.bits = (u32)((i32)k + 127) << 23;
    return p * scale.value;
}

// The natural logarithm of a number that is not negative.
SN_DEV double ev_log(double x) {
    if (!(x > 0.0)) return x == 0.0 ? -ev_infinity() : x - x;
    if (x == ev_infinity()) return x;
    double e = -1023.0;
    if (x < 2.2250738585072014e-308) {
        x *= 18014398509481984.0;
        e -= 54.0;
    }
    const u64 bits = ev_bits_of(x);
    e += (double)(i32)(bits >> 52);
    double m = ev_of_bits((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e += 1.0;
    }
    // log((1 + s) / (1 - s)) = 2 s (1 + s^2 / 3 + s^4 / 5 + ..)
    const double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 0.043478260869565216;
    p = ev_fma(p, z, 0.047619047619047616);
    p = ev_fma(p, z, 0.05263157894736842);
    p = ev_fma(p, z, 0.058823529411764705);
    p = ev_fma(p, z, 0.06666666666666667);
    p = ev_fma(p, z, 0.07692307692307693);
    p = ev_fma(p, z, 0.09090909090909091);
    p = ev_fma(p, z, 0.1111111111111111);
    p = ev_fma(p, z, 0.14285714285714285);
    p = ev_fma(p, z, 0.2);
    p = ev_fma(p, z, 0.3333333333333333);
    const double tail = ev_fma(e, 2.3190468138462996e-17, 2.0 * s * (z * p));
    return ev_fma(e, 0.6931471805599453, ev_fma(2.0, s, tail));
}

// Sine and cosine; angles beyond a billion lose their digits.
SN_DEV void ev_sincos(double x, double& sine, double& cosine) {
    const double k = ev_fma(x, 0.6366197723675814, 6755399441055744.0) - 6755399441055744.0;
    double r = ev_fma(k, -1.5707963267948966, x);
    r = ev_fma(k, -6.123233995736766e-17, r);
    const double z = r * r;
    double s = 2.8114572543455206e-15;
    s = ev_fma(s, z, -7.647163731819816e-13);
    s = ev_fma(s, z, 1.6059043836821613e-10);
    s = ev_fma(s, z, -2.505210838544172e-08);
    s = ev_fma(s, z, 2.7557319223985893e-06);
    s = ev_fma(s, z, -0.0001984126984126984);
    s = ev_fma(s, z, 0.008333333333333333);
    s = ev_fma(s, z, -0.16666666666666666);
    s = ev_fma(r * z, s, r);
    double c = -1.5619206968586225e-16;
    c = ev_fma(c, z, 4.779477332387385e-14);
    c = ev_fma(c, z, -1.1470745597729725e-11);
    c = ev_fma(c, z, 2.08767569878681e-09);
    c = ev_fma(c, z, -2.7557319223985894e-07);
    c = ev_fma(c, z, 2.48015873015873e-05);
    c = ev_fma(c, z, -0.001388888888888889);
    c = ev_fma(c, z, 0.041666666666666664);
    c = ev_fma(c, z, -0.5);
    c = ev_fma(c, z, 1.0);
    const i64 quarter = (i64)k & 3;
    const double a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
    sine = quarter & 2 ? -a : a;
    cosine = (quarter + 1) & 2 ? -b : b;
}

SN_DEV void ev_sincos(float x, float& sine, float& cosine) {
    double s, c;
    ev_sincos((double)x, s, c);
    sine = (float)s;
    cosine = (float)c;
}
