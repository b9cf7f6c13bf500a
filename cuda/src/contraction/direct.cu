// Contractions of few channels or few products: a thread adds up one result by itself.

// Where source and result meet: the input's pixel of an output's pixel and a tap, -1 outside.
template <class G> SN_DEV i64 sn_input_of(i64 y, i64 x, i64 kh, i64 kw) {
    const i64 h = y * G::STRIDE_H + kh * G::DILATION_H - G::PAD_H, w = x * G::STRIDE_W + kw * G::DILATION_W - G::PAD_W;
    return h >= 0 && h < G::IN_H && w >= 0 && w < G::IN_W ? h * G::IN_W + w : -1;
}

template <class G> SN_DEV typename G::Sum sn_direct_forward(const typename G::A* x, const typename G::B* w, i64 at) {
    const i64 o = at % G::COUT, ow = at / G::COUT % G::OUT_W, oh = at / G::COUT / G::OUT_W % G::OUT_H;
    const i64 image = at / G::COUT / G::OUT_W / G::OUT_H * (G::IN_H * G::IN_W), first = o / G::COUT_OF_GROUP * G::CIN_OF_GROUP;
    typename G::Sum sum = 0;
    for (i64 kh = 0; kh < G::KERNEL_H; ++kh)
        for (i64 kw = 0; kw < G::KERNEL_W; ++kw) {
            const i64 pixel = sn_input_of<G>(oh, ow, kh, kw);
            if (pixel < 0) continue;
            for (i64 i = 0; i < G::CIN_OF_GROUP; ++i)
                sum = sn_fma(sn_element<G>(x, (image + pixel) * G::SOURCE_PITCH + first + i),
                    sn_number(w[((o * G::CIN_OF_GROUP + i) * G::KERNEL_H + kh) * G::KERNEL_W + kw]), sum);
        }
    return sum;
}

// The output's place along an axis that meets an input's at a tap, -1 if none does.
SN_DEV i64 sn_output_of(i64 input, i64 tap, i64 stride, i64 pad, i64 dilation, i64 len) {
    const i64 at = input + pad - tap * dilation;
    return at >= 0 && at % stride == 0 && at / stride < len ? at / stride : -1;
}

template <class G> SN_DEV typename G::Sum sn_direct_input_gradient(const typename G::A* dy, const typename G::B* w, i64 at) {
    const i64 i = at % G::CIN, x = at / G::CIN % G::IN_W, y = at / G::CIN / G::IN_W % G::IN_H;
    const i64 image = at / G::CIN / G::IN_W / G::IN_H * (G::OUT_H * G::OUT_W), first = i / G::CIN_OF_GROUP * G::COUT_OF_GROUP;
    typename G::Sum sum = 0;
    for (i64 kh = 0; kh < G::KERNEL_H; ++kh)
        for (i64 kw = 0; kw < G::KERNEL_W; ++kw) {
            const i64 oh = sn_output_of(y, kh, G::STRIDE_H, G::PAD_H, G::DILATION_H, G::OUT_H);
            const i64 ow = sn_output_of(x, kw, G::STRIDE_W, G::PAD_W, G::DILATION_W, G::OUT_W);
            if (oh < 0 || ow < 0) continue;
            for (i64 o = first; o < first + G::COUT_OF_GROUP; ++o)
                sum = sn_fma((typename G::Sum)sn_number(dy[(image + oh * G::OUT_W + ow) * G::COUT + o]),
                    sn_number(w[((o * G::CIN_OF_GROUP + i % G::CIN_OF_GROUP) * G::KERNEL_H + kh) * G::KERNEL_W + kw]), sum);
        }
    return sum;
}

// Threads lie along the output's channels; a part of the images a thread.
template <class G> SN_DEV typename G::Sum sn_direct_weight_gradient(const typename G::A* x, const typename G::B* dy, i64 at, i64 part) {
    const i64 o = at % G::COUT, kw = at / G::COUT % G::KERNEL_W, kh = at / G::COUT / G::KERNEL_W % G::KERNEL_H;
    const i64 i = o / G::COUT_OF_GROUP * G::CIN_OF_GROUP + at / G::COUT / G::KERNEL_W / G::KERNEL_H;
    typename G::Sum sum = 0;
    const i64 end = (part + 1) * G::IMAGES_OF_PART < G::IMAGES ? (part + 1) * G::IMAGES_OF_PART : G::IMAGES;
    for (i64 image = part * G::IMAGES_OF_PART; image < end; ++image)
        for (i64 oh = 0; oh < G::OUT_H; ++oh)
            for (i64 ow = 0; ow < G::OUT_W; ++ow) {
                const i64 pixel = sn_input_of<G>(oh, ow, kh, kw);
                if (pixel < 0) continue;
                sum = sn_fma(sn_element<G>(x, (image * (G::IN_H * G::IN_W) + pixel) * G::SOURCE_PITCH + i),
                    (typename G::Sum)sn_number(dy[((image * G::OUT_H + oh) * G::OUT_W + ow) * G::COUT + o]), sum);
            }
    return sum;
}

template <class G>
SN_DEV void sn_direct(const typename G::A* a, const typename G::B* b, typename G::Out* out, typename G::Sum* parts) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= G::RESULT_LEN * G::PARTS) return;
    if constexpr (G::KIND == SN_FORWARD) sn_assign(out[at], sn_direct_forward<G>(a, b, at));
    else if constexpr (G::KIND == SN_INPUT_GRADIENT) sn_assign(out[at], sn_direct_input_gradient<G>(a, b, at));
    else parts[at] = sn_direct_weight_gradient<G>(a, b, at % G::RESULT_LEN, at / G::RESULT_LEN);
}

// The parts of a weight's gradient, [part][channel][tap][cout], added up in order.
template <class G> SN_DEV void sn_direct_add_parts(const typename G::Sum* parts, typename G::Out* out) {
    const i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= G::RESULT_LEN) return;
    typename G::Sum sum = 0;
    for (i64 part = 0; part < G::PARTS; ++part) sum += parts[part * G::RESULT_LEN + at];
    constexpr i64 TAPS = G::KERNEL_H * G::KERNEL_W;
    const i64 o = at % G::COUT, tap = at / G::COUT % TAPS, i = at / G::COUT / TAPS;
    sn_assign(out[(o * G::CIN_OF_GROUP + i) * TAPS + tap], sum);
}
