// When the potential of a neuron next reaches its threshold. N is the neuron: what the emitter knows of it is printed there.
// Waits are in seconds from the states at hand; -1 stands for never.

constexpr double EV_NEVER = -1.0;
constexpr double EV_EPSILON = 2.220446049250313e-16;

// What a closed form says: there is no rise, there is one (perhaps before now), or its coefficients are beyond it.
constexpr int EV_NO_RISE = 0, EV_RISE = 1, EV_UNKNOWN = 2;

template <class N> SN_DEV double ev_excess(const double* x) { return N::potential(x) - N::THETA; }

// What rounding cannot tell from the threshold stands at it.
template <class N> SN_DEV bool ev_stands(const double* x) {
    return ev_abs(ev_excess<N>(x)) <= 64.0 * EV_EPSILON * (N::magnitude(x) + ev_abs(N::THETA));
}

template <class N> SN_DEV bool ev_is_below(const double* x) { return ev_excess<N>(x) < 0.0 && !ev_stands<N>(x); }

SN_DEV int ev_rise_of_line(double slope, double level, double& time) {
    if (!(slope > 0.0)) return EV_NO_RISE;
    time = -level / slope;
    return EV_RISE;
}

SN_DEV int ev_rise_of_logarithm(double term, double level, double rate, double& time) {
    if (!(term * rate > 0.0 && -level / term > 0.0)) return EV_NO_RISE;
    time = ev_log(-level / term) / rate;
    return EV_RISE;
}

// a y^2 + b y + c with y = e^(rate s).
SN_DEV int ev_rise_of_quadratic(double a, double b, double c, double rate, double& time) {
    const double discriminant = b * b - 4.0 * a * c;
    if (!(discriminant >= 0.0)) return EV_NO_RISE;
    const double slope = ev_copysign(sqrt(discriminant), rate);
    // (slope - b) / (2 a), in the form in which nothing cancels.
    double y = slope * b > 0.0 ? -2.0 * c / (slope + b) : (slope - b) / (2.0 * a);
    const double step = ((a * y + b) * y + c) / (2.0 * a * y + b);
    if (ev_abs(step) < 1e-3 * ev_abs(y)) y -= step;
    if (!(y > 0.0 && y < ev_infinity())) return EV_NO_RISE;
    time = ev_log(y) / rate;
    return EV_RISE;
}

template <class N> SN_DEV double ev_search(const double* x, double limit, bool below);

// The first rise through the threshold from states on the given side of it.
template <class N> SN_DEV double ev_next_rise(const double* x, double limit, bool below) {
    double time = 0.0;
    const int kind = N::rise(x, time);
    if (kind == EV_NO_RISE) return EV_NEVER;
    if constexpr (N::SEARCHES) {
        if (kind == EV_UNKNOWN) return ev_search<N>(x, limit, below);
    }
    const bool is_rising = N::slope(x) > 0.0;
    // The only rise is the one that has just been.
    if (is_rising && !below && ev_stands<N>(x)) return EV_NEVER;
    // Below and rising, the crossing is still to come, if by less than rounding.
    if (is_rising && below && !(time > 0.0)) time = 0.0;
    return time >= 0.0 && time <= limit ? time : EV_NEVER;
}

// For a neuron that was below the threshold until now.
template <class N> SN_DEV double ev_first_crossing(const double* x, double limit) {
    return ev_excess<N>(x) >= 0.0 ? 0.0 : ev_next_rise<N>(x, limit, true);
}

// Whether a potential that stands at the threshold is below it right after: the first link that is not 0 decides.
template <class N> SN_DEV bool ev_falls(const double* x) {
    for (int link = 1; link < N::LINKS; ++link) {
        const double value = N::link(link, x);
        if (value != 0.0) return value < 0.0;
    }
    return false;
}

// For a neuron that has spiked and not been below the threshold since.
template <class N> SN_DEV double ev_first_return(const double* x, double limit) {
    const bool below = ev_stands<N>(x) ? ev_falls<N>(x) : ev_excess<N>(x) < 0.0;
    return ev_next_rise<N>(x, limit, below);
}

template <class N> SN_DEV double ev_wait(const double* x, double limit, bool armed) {
    return armed ? ev_first_crossing<N>(x, limit) : ev_first_return<N>(x, limit);
}

// The states after a stretch of time.
template <class N> SN_DEV void ev_advance(double dt, double* x) {
    double m[N::ENTRIES], y[N::D];
    N::step(dt, m);
    N::advance(m, x, y);
    for (int at = 0; at < N::D; ++at) x[at] = y[at];
}
