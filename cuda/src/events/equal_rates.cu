// The rise of (ramp s + term) e^(rate s) + level: with v = rate (s + term / ramp) it is
// v e^v = -level rate / ramp e^(rate term / ramp), on the branch v > -1 of a bump and on the other one of a dip.
SN_DEV int ev_rise_of_equal_rates(double ramp, double term, double level, double rate, double& time) {
    const double shift = term / ramp;
    if (!(ev_abs(rate * shift) <= 200.0)) return EV_UNKNOWN;
    double v;
    if (!ev_lambert(-level * rate / ramp * ev_exp(rate * shift), ramp > 0.0, v)) return EV_NO_RISE;
    double s = v / rate - shift;
    for (int round = 0; round < 2; ++round) {
        const double exponential = ev_exp(rate * s);
        const double value = (ramp * s + term) * exponential + level;
        const double step = value / ((ramp + rate * (ramp * s + term)) * exponential);
        if (ev_abs(step * rate) < 1e-3) s -= step;
    }
    time = s;
    return EV_RISE;
}
