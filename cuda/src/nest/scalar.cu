// Scalar instructions that C has no operator for. Every one gives the bits that the interpreter gives.
union sn_word32 { float f; u32 u; };
union sn_word64 { double f; u64 u; };
SN_DEV float sn_bits32(u32 u) { sn_word32 w; w.u = u; return w.f; }
SN_DEV double sn_bits64(u64 u) { sn_word64 w; w.u = u; return w.f; }
// 2^a for integral a within the exponents of normal numbers.
SN_DEV float sn_pow2(float a) { sn_word32 w; w.u = (u32)((i32)a + 127) << 23; return w.f; }
SN_DEV double sn_pow2(double a) { sn_word64 w; w.u = (u64)((i64)a + 1023) << 52; return w.f; }
// Exponent and mantissa of normal positive numbers.
SN_DEV float sn_exponent(float a) { sn_word32 w; w.f = a; return (float)((i32)(w.u >> 23) - 127); }
SN_DEV double sn_exponent(double a) { sn_word64 w; w.f = a; return (double)((i64)(w.u >> 52) - 1023); }
SN_DEV float sn_mantissa(float a) { sn_word32 w; w.f = a; w.u = (w.u & 0x007fffffu) | 0x3f800000u; return w.f; }
SN_DEV double sn_mantissa(double a) { sn_word64 w; w.f = a; w.u = (w.u & 0x000fffffffffffffull) | 0x3ff0000000000000ull; return w.f; }
SN_DEV float sn_abs(float a) { return fabsf(a); }
SN_DEV double sn_abs(double a) { return fabs(a); }
SN_DEV float sn_sqrt(float a) { return sqrtf(a); }
SN_DEV double sn_sqrt(double a) { return sqrt(a); }
SN_DEV float sn_floor(float a) { return floorf(a); }
SN_DEV double sn_floor(double a) { return floor(a); }
// Element i of packed memory.
SN_DEV bool sn_bit(const u32* words, i64 i) { return (words[i >> 5] >> (i & 31)) & 1u; }
// Sets element i of packed memory where one thread writes all elements of a word in order.
SN_DEV void sn_set_bit(u32* words, i64 i, bool bit) {
    const u32 before = (i & 31) ? words[i >> 5] : 0u;
    words[i >> 5] = before | ((u32)bit << (i & 31));
}
// Quotient and remainder of an index that may be negative by a positive number, rounded towards minus infinity.
template <class T> SN_DEV T sn_div_floor(T a, T b) { const T q = a / b; return q - (T)(a % b < 0); }
template <class T> SN_DEV T sn_mod_floor(T a, T b) { const T r = a % b; return r < 0 ? r + b : r; }
// What is left of `total` behind `done`, at most `size` and at least nothing.
template <class T> SN_DEV T sn_rest(T total, T done, T size) { const T rest = total - done; return rest < size ? (rest < 0 ? 0 : rest) : size; }
