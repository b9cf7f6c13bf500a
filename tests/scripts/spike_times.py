"""Spike times of single neurons and their gradients with 50 digits, for loops/tests/spike_times.rs.

    python3 tests/scripts/spike_times.py        # needs mpmath; rewrites tests/data/events/*.json

The neurons are cascades of leaky states, the membrane potential first:

    u' = i - u / tau_m,   i' = j - i / tau_s,   ...

An input of weight w adds w to the last state; a spike subtracts theta from u. Everything here is written in another way
than in the compiler: the potential as a sum of kernels over all earlier spikes (the spike response model), its roots by
bisection of brackets found on a fine grid, and gradients by implicit differentiation forwards, from the first spike to
the last.
"""

import json
import pathlib
import random

from mpmath import exp, factorial, mp, mpf, nstr

mp.dps = 60
GRID = 400  # steps of the grid in the fastest time constant
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "events"


class Neuron:
    def __init__(self, taus, theta):
        self.rates = [-1 / mpf(tau) for tau in taus]
        self.theta = mpf(theta)
        equal = all(rate == self.rates[0] for rate in self.rates)
        assert equal or len(set(self.rates)) == len(self.rates)
        if equal:
            self.power = len(taus) - 1
        else:
            self.power = None
            self.parts = []
            for k, rate in enumerate(self.rates):
                product = mpf(1)
                for other in self.rates[:k] + self.rates[k + 1:]:
                    product *= rate - other
                self.parts.append(1 / product)

    def kernel(self, s, derivative=0):
        """The potential s seconds after an input of weight 1, or its slope."""
        if self.power is not None:
            rate, n = self.rates[0], self.power
            value = s**n / factorial(n) * exp(rate * s)
            if derivative == 0:
                return value
            rise = s ** (n - 1) / factorial(n - 1) * exp(rate * s)
            return rise + rate * value
        return sum(part * rate**derivative * exp(rate * s) for part, rate in zip(self.parts, self.rates))

    def reset(self, s, derivative=0):
        """What is left of a spike of its own s seconds later."""
        return -self.theta * self.rates[0] ** derivative * exp(self.rates[0] * s)


def potential(neuron, inputs, spikes, t, derivative=0):
    value = sum(w * neuron.kernel(t - at, derivative) for at, w in inputs if at < t)
    return value + sum(neuron.reset(t - at, derivative) for at in spikes)


def first_crossing(neuron, inputs, spikes, start, end):
    """The first time in start..end at which the potential reaches the threshold, or None. No input lies between."""
    step = -1 / min(neuron.rates) / GRID
    low, low_value = start, potential(neuron, inputs, spikes, start) - neuron.theta
    if low == (spikes[-1] if spikes else None):
        low_value = mpf(-1)  # the reset has just brought it down
    while low < end:
        high = min(low + step, end)
        with_end = potential(neuron, inputs, spikes, high) - neuron.theta
        if low_value < 0 <= with_end:
            for _ in range(200):
                middle = (low + high) / 2
                if potential(neuron, inputs, spikes, middle) < neuron.theta:
                    low = middle
                else:
                    high = middle
            return high
        low, low_value = high, with_end
    return None


def simulate(neuron, inputs, horizon):
    spikes = []
    stops = [at for at, _ in inputs] + [horizon]
    now = mpf(0)
    for stop in stops:
        while (crossing := first_crossing(neuron, inputs, spikes, now, stop)) is not None:
            spikes.append(crossing)
            now = crossing
        now = stop
    return spikes


def gradients(neuron, inputs, spikes, errors):
    """The derivatives of sum(error * spike time) by weights and input times, and the smallest slope at a spike."""
    by_weight, by_time, slopes = [], [], []
    for j, (at, w) in enumerate(inputs):
        moved = {"w": [], "t": []}
        for k, t in enumerate(spikes):
            slope = potential(neuron, inputs, spikes[:k], t, 1)
            for name in moved:
                if at >= t:
                    direct = mpf(0)
                elif name == "w":
                    direct = neuron.kernel(t - at)
                else:
                    direct = -w * neuron.kernel(t - at, 1)
                through = sum(-neuron.reset(t - spikes[m], 1) * moved[name][m] for m in range(k))
                moved[name].append(-(direct + through) / slope)
            if j == 0:
                slopes.append(slope)
        by_weight.append(sum(e * d for e, d in zip(errors, moved["w"])))
        by_time.append(sum(e * d for e, d in zip(errors, moved["t"])))
    return by_weight, by_time, min(slopes)


def case(taus, theta, seed, n_inputs, strength):
    chance = random.Random(seed)
    number = lambda low, high: float(round(chance.uniform(low, high), 6))
    window = 4 * max(taus)
    inputs = sorted((number(0, window), number(-0.6 * strength, 1.4 * strength)) for _ in range(n_inputs))
    horizon = 2 * window
    neuron = Neuron(taus, theta)
    exact = [(mpf(at), mpf(w)) for at, w in inputs]
    spikes = simulate(neuron, exact, mpf(horizon))
    assert len(spikes) >= 2, (taus, seed, len(spikes))
    errors = [number(-1, 1) for _ in spikes]
    by_weight, by_time, slope = gradients(neuron, exact, spikes, [mpf(e) for e in errors])
    digits = lambda values: [nstr(value, 50) for value in values]
    return {
        "seed": seed,
        "taus": taus,
        "theta": theta,
        "horizon": horizon,
        "inputs": [{"time": at, "weight": w} for at, w in inputs],
        "errors": errors,
        "spikes": digits(spikes),
        "gradient": {"weights": digits(by_weight), "times": digits(by_time)},
        "smallest_slope": nstr(slope, 5),
    }


FILES = {
    "ratio_2": ([0.02, 0.01], 0.7),
    "equal": ([0.01, 0.01], 0.4),
    "ratio_3_7": ([0.037, 0.01], 1.0),
    "order_3": ([0.03, 0.011, 0.004], 0.003),
}

if __name__ == "__main__":
    for name, (taus, theta) in FILES.items():
        strength = theta / max(float(Neuron(taus, theta).kernel(mpf(k) * taus[0] / 10)) for k in range(1, 60))
        cases = [case(taus, theta, seed, 8 + 4 * seed, strength) for seed in range(1, 4)]
        (FOLDER / f"{name}.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")
        print(name, [len(c["spikes"]) for c in cases], [c["smallest_slope"] for c in cases])
