// Weights between our order, [cout][cin][tap], and that of libraries, [cout][tap][cin], and between types.

template <class G> SN_DEV void sn_filter(const typename G::From* from, typename G::To* to) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= G::LEN) return;
    const i64 i = at % G::CIN, tap = at / G::CIN % G::TAPS, o = at / G::CIN / G::TAPS, ours = (o * G::CIN + i) * G::TAPS + tap;
    if constexpr (G::TO_LIBRARY) sn_assign(to[at], sn_number(from[ours]));
    else sn_assign(to[ours], sn_number(from[at]));
}
