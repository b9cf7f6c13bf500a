// The exponential of a small matrix, rows first, in place: scaling, a Taylor series, squaring. What is squared is the
// exponential less 1, so that a short flow keeps all its digits.
template <int N> SN_DEV void ev_exponential(double* a) {
    double norm = 0.0;
    for (int row = 0; row < N; ++row) {
        double sum = 0.0;
        for (int column = 0; column < N; ++column) sum += ev_abs(a[row * N + column]);
        norm = sum > norm ? sum : norm;
    }
    int squarings = 0;
    double scale = 1.0;
    while (norm * scale > 0.5 && squarings < 1000) {
        scale *= 0.5;
        ++squarings;
    }
    double term[N * N], excess[N * N], product[N * N];
    for (int at = 0; at < N * N; ++at) a[at] = term[at] = excess[at] = a[at] * scale;
    for (int k = 2; k <= 18 + squarings; ++k) {
        const bool is_series = k <= 18;
        const double* left = is_series ? term : excess;
        const double* right = is_series ? a : excess;
        for (int row = 0; row < N; ++row)
            for (int column = 0; column < N; ++column) {
                double sum = 0.0;
                for (int at = 0; at < N; ++at) sum += left[row * N + at] * right[at * N + column];
                product[row * N + column] = sum;
            }
        for (int at = 0; at < N * N; ++at) {
            if (is_series) term[at] = product[at] * (1.0 / k);
            excess[at] = is_series ? excess[at] + term[at] : 2.0 * excess[at] + product[at];
        }
    }
    for (int at = 0; at < N * N; ++at) a[at] = excess[at] + (at % (N + 1) == 0 ? 1.0 : 0.0);
}
