// The real branches of the Lambert W function, the inverse of w e^w (Corless, Gonnet, Hare, Jeffrey, Knuth 1996).

// About the branch point: w in powers of sqrt(2 (e z + 1)).
SN_DEV double ev_lambert_series(double p) {
    constexpr double coefficients[32] = {
        -1.0, 1.0, -0.3333333333333333, 0.1527777777777778, -0.07962962962962963, 0.044502314814814814,
        -0.02598471487360376, 0.01563563253233392, -0.009616892024299432, 0.006014543252956118,
        -0.0038112980348919993, 0.0024408779911439826, -0.0015769303446867841, 0.0010262633205076071,
        -0.0006720616311561362, 0.0004424730618146209, -0.00029267722472962746, 0.00019438727605453933,
        -0.00012957426685274883, 8.665035805208128e-05, -5.811360750441382e-05, 3.907668486743905e-05,
        -2.63380647472311e-05, 1.7790345805079586e-05, -1.2040352739559977e-05, 8.163531982496613e-06,
        -5.544203208567359e-06, 3.7710949611072535e-06, -2.5687050390550955e-06, 1.7520067268263412e-06,
        -1.1964453089157258e-06, 8.179940565280035e-07};
    double sum = 0.0;
#pragma unroll
    for (int at = 31; at >= 0; --at) sum = sum * p + coefficients[at];
    return sum;
}

// Halley's method until it stands still.
SN_DEV double ev_lambert_polish(double z, double w) {
    for (int round = 0; round < 20; ++round) {
        const double ratio = z / ev_exp(w);
        const double newton = (w - ratio) / (1.0 + w);
        const double step = newton / (1.0 - 0.5 * newton * (w + 2.0) / (1.0 + w));
        w -= step;
        if (ev_abs(step) <= 1e-9 * ev_abs(w)) break;
    }
    return w;
}

// The branch with w >= -1, or the one with w <= -1. False where there is none.
SN_DEV bool ev_lambert(double z, bool is_principal, double& w) {
    const double square = 2.0 * ev_fma(2.718281828459045, z, 1.0) + 2.0 * 1.4456468917292502e-16 * z;
    if (!(square >= 0.0) || (!is_principal && z >= 0.0)) return false;
    if (z == 0.0 || z == ev_infinity()) {
        w = z;
        return true;
    }
    const double p = sqrt(square);
    if (p < 0.4) {
        w = ev_lambert_series(is_principal ? p : -p);
        return true;
    }
    double guess;
    if (!is_principal) {
        const double log = ev_log(-z);
        guess = log - ev_log(-log);
        // By logarithms, because e^w loses its digits where w is large: w + log(-w) = log(-z).
        for (int round = 0; round < 8; ++round) {
            const double step = (log - guess - ev_log(-guess)) * guess / (1.0 + guess);
            guess += step;
            if (ev_abs(step) <= 1e-10 * ev_abs(guess)) break;
        }
    } else if (z < 1.0) {
        // The first terms of the series at 0 and at the branch point, blended.
        const double blend = 1.0 + (0.5 * p - 0.4) * z;
        guess = (blend > 0.2 ? blend : 0.2) * z / (1.0 + z);
        guess = guess > -0.7 ? guess : -0.7;
    } else {
        const double log = ev_log(z);
        guess = log - ev_log(log > 0.6 ? log : 0.6);
    }
    w = ev_lambert_polish(z, guess);
    return true;
}
