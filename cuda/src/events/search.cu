// The first crossing of any linear neuron: a bracketed search that cannot miss one.
//
// The links of a neuron are f0 = its excess over the threshold, f(k+1) = (d/dt - rate k) f(k); a pair of rates that oscillate
// takes two links. Between neighboring roots of a link the one before it has one root at most, on stretches shorter than half
// a period.

// A stretch of time without events, in which the roots of every link are bracketed by those of the next.
template <class N> struct ev_stretch {
    const double* x;
    double from, to;
};

// A link at a time and its slope.
template <class N> SN_DEV double ev_link(const ev_stretch<N>& stretch, int link, double time, double& slope) {
    double m[N::ENTRIES], y[N::D];
    N::step(time, m);
    N::advance(m, stretch.x, y);
    const double value = N::link(link, y), rate = N::rate(link), next = link + 1 < N::LINKS ? N::link(link + 1, y) : 0.0;
    if constexpr (N::OSCILLATES) {
        if (N::is_second(link)) {
            double sine, cosine;
            ev_sincos(N::frequency(link) * (time - 0.5 * (stretch.from + stretch.to)), sine, cosine);
            const double turn = N::frequency(link) * (sine / cosine), turned = value + turn * N::link(link - 1, y);
            slope = (rate + turn) * turned + next;
            return turned;
        }
    }
    slope = rate * value + next;
    return value;
}

// The root of a link whose sign changes between two times: Newton's method, with bisection where that would leave the
// bracket or be slow. The result is on the side of `high`.
template <class N> SN_DEV double ev_root(const ev_stretch<N>& stretch, int link, double low, double high) {
    double slope;
    const bool is_rising = ev_link<N>(stretch, link, high, slope) >= 0.0;
    double guess = 0.5 * (low + high), width = high - low;
    for (int round = 0; round < 200; ++round) {
        const double value = ev_link<N>(stretch, link, guess, slope);
        if ((value >= 0.0) == is_rising) high = guess;
        else low = guess;
        const double newton = guess - value / slope;
        if (newton == guess) return guess;
        const double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high) return high;
        const bool shrinks = ev_abs(newton - guess) < 0.5 * width;
        const double next = newton > low && newton < high && shrinks ? newton : middle;
        width = ev_abs(next - guess);
        guess = next;
    }
    return high;
}

// The first crossing in a stretch; otherwise on which side the potential is at its end.
template <class N> SN_DEV double ev_search_stretch(const ev_stretch<N>& stretch, bool& below) {
    double brackets[N::LINKS + 2] = {stretch.from, stretch.to};
    double slope;
    int n = 2;
    for (int link = N::LINKS - 2; link >= 1; --link) {
        double found[N::LINKS + 2] = {stretch.from};
        int n_found = 1;
        double before = ev_link<N>(stretch, link, stretch.from, slope);
        for (int at = 1; at < n; ++at) {
            const double after = ev_link<N>(stretch, link, brackets[at], slope);
            if ((before < 0.0) != (after < 0.0) && n_found < N::LINKS + 1)
                found[n_found++] = ev_root<N>(stretch, link, brackets[at - 1], brackets[at]);
            before = after;
        }
        found[n_found++] = stretch.to;
        for (int at = 0; at < n_found; ++at) brackets[at] = found[at];
        n = n_found;
    }
    for (int at = 1; at < n; ++at) {
        const bool now_below = ev_link<N>(stretch, 0, brackets[at], slope) < 0.0;
        if (below && !now_below && N::LINKS > 1) return ev_root<N>(stretch, 0, brackets[at - 1], brackets[at]);
        below = now_below;
    }
    return EV_NEVER;
}

template <class N> SN_DEV double ev_search(const double* x, double limit, bool below) {
    double from = 0.0;
    while (from < limit || from == 0.0) {
        double to = limit;
        if constexpr (N::OSCILLATES) to = from + N::STRETCH < limit ? from + N::STRETCH : limit;
        const ev_stretch<N> stretch = {x, from, to};
        const double time = ev_search_stretch<N>(stretch, below);
        if (time >= 0.0) return time;
        // A stretch may be too short to move the time on.
        if (!(to > from)) break;
        from = to;
    }
    return EV_NEVER;
}
