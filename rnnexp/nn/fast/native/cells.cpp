// The steps of each cell over a block, forward and backward: the equations of rnnexp/nn/cells.py
// and rnnexp/nn/fast/kernels, in one call for all steps.
//
// Before a forward pass the gates hold the input projections W x_t + b, after it the activations.
// h(t) is the state before step t, and h(t + 1) the state after it. g_x is the gradient of the loss
// with respect to x; g_h and the other gradients of the state are replaced by those of the state
// before the block. After the end of a sequence its state and the gradient of its state do not
// change, and the gradients of its gates are 0.

#include "activations.h"
#include "team.h"

namespace {

// Add the gradient of the output at step t, if there is one.
template <class real>
void add_output(const Team<real>& team, const Tensor<real>& g_h, const Tensor<real>& g_out,
                int64_t t) {
    if (g_out.data)
        team.each(t, [&](int64_t r, int64_t i) { g_h(0, r, i) += g_out(t, r, i); });
}

// h' = tanh(x + U h), or without tanh.
template <class real, bool TANH>
void simple_forward(Team<real> team) {
    const auto x = team.next(), h = team.next(), U = team.next();
    for (int64_t t = 0; t < team.steps; t++) {
        team.product(x, t, h, t, U);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                h(t + 1, r, i) = TANH ? hyperbolic_tangent(x(t, r, i)) : x(t, r, i);
            },
            [&](int64_t r, int64_t i) { h(t + 1, r, i) = h(t, r, i); });
        team.wait();
    }
}

template <class real, bool TANH>
void simple_backward(Team<real> team) {
    team.next();  // x
    const auto h = team.next(), U_t = team.next();
    const auto g_x = team.next(), g_h = team.next(), g_out = team.next();
    for (int64_t t = team.steps - 1; t >= 0; t--) {
        add_output(team, g_h, g_out, t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real y = h(t + 1, r, i);
                g_x(t, r, i) = TANH ? g_h(0, r, i) * (1 - y * y) : g_h(0, r, i);
                g_h(0, r, i) = 0;
            },
            [&](int64_t r, int64_t i) { g_x(t, r, i) = 0; });
        team.wait();
        team.product(g_h, 0, g_x, t, U_t);
    }
}

// h' = tanh(x + [h; fed] [U; V]), cell' = sigma(W_c h' + b_c), fed' = cell
template <class real, bool TANH>
void order2_forward(Team<real> team) {
    const auto x = team.next(), h = team.next(), cell = team.next(), fed = team.next();
    const auto UV = team.next(), W_c = team.next(), b_c = team.next();
    for (int64_t t = 0; t < team.steps; t++) {
        team.product(x, t, h, t, UV, 2);  // fed lies beside h
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                h(t + 1, r, i) = TANH ? hyperbolic_tangent(x(t, r, i)) : x(t, r, i);
                fed(t + 1, r, i) = cell(t, r, i);
                cell(t + 1, r, i) = b_c(0, 0, i);
            },
            [&](int64_t r, int64_t i) {
                h(t + 1, r, i) = h(t, r, i);
                fed(t + 1, r, i) = fed(t, r, i);
            });
        team.wait();
        team.product(cell, t + 1, h, t + 1, W_c);
        team.each(
            t,
            [&](int64_t r, int64_t i) { cell(t + 1, r, i) = sigmoid(cell(t + 1, r, i)); },
            [&](int64_t r, int64_t i) { cell(t + 1, r, i) = cell(t, r, i); });
    }
}

template <class real, bool TANH>
void order2_backward(Team<real> team) {
    team.next();  // x
    const auto h = team.next(), cell = team.next();
    team.next();  // fed
    const auto W_c_t = team.next(), UV_t = team.next(), g_x = team.next(), g_sum = team.next();
    const auto g_h = team.next(), g_cell = team.next(), g_fed = team.next(), g_out = team.next();
    for (int64_t t = team.steps - 1; t >= 0; t--) {
        add_output(team, g_h, g_out, t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real y = cell(t + 1, r, i);
                g_sum(t, r, i) = g_cell(0, r, i) * y * (1 - y);
            },
            [&](int64_t r, int64_t i) { g_sum(t, r, i) = 0; });
        team.wait();
        team.product(g_h, 0, g_sum, t, W_c_t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real y = h(t + 1, r, i);
                g_x(t, r, i) = TANH ? g_h(0, r, i) * (1 - y * y) : g_h(0, r, i);
                g_h(0, r, i) = 0;
                g_cell(0, r, i) = g_fed(0, r, i);
                g_fed(0, r, i) = 0;
            },
            [&](int64_t r, int64_t i) { g_x(t, r, i) = 0; });
        team.wait();
        team.product(g_h, 0, g_x, t, UV_t);
        team.product(g_fed, 0, g_x, t, team.gate(UV_t, 1));
    }
}

// f = sigma(x_f + U_f h), c = tanh(x_h + U_h (f * h)), h' = (1 - f) * h + f * c
template <class real>
void mgu_forward(Team<real> team) {
    const auto f = team.next(), c = team.next(), h = team.next();
    const auto U_f = team.next(), U_h = team.next(), fh = team.next();
    for (int64_t t = 0; t < team.steps; t++) {
        team.product(f, t, h, t, U_f);
        team.each(t, [&](int64_t r, int64_t i) {
            f(t, r, i) = sigmoid(f(t, r, i));
            fh(0, r, i) = f(t, r, i) * h(t, r, i);
        });
        team.wait();
        team.product(c, t, fh, 0, U_h);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real before = h(t, r, i), candidate = hyperbolic_tangent(c(t, r, i));
                c(t, r, i) = candidate;
                h(t + 1, r, i) = before + f(t, r, i) * (candidate - before);
            },
            [&](int64_t r, int64_t i) { h(t + 1, r, i) = h(t, r, i); });
        team.wait();
    }
}

template <class real>
void mgu_backward(Team<real> team) {
    const auto f = team.next(), c = team.next(), h = team.next();
    const auto U_h_t = team.next(), U_f_t = team.next(), g_fh = team.next();
    const auto g_f = team.next(), g_c = team.next(), g_h = team.next(), g_out = team.next();
    for (int64_t t = team.steps - 1; t >= 0; t--) {
        add_output(team, g_h, g_out, t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real candidate = c(t, r, i);
                g_c(t, r, i) = g_h(0, r, i) * f(t, r, i) * (1 - candidate * candidate);
                g_fh(0, r, i) = 0;
            },
            [&](int64_t r, int64_t i) { g_c(t, r, i) = 0; });
        team.wait();
        team.product(g_fh, 0, g_c, t, U_h_t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real gate = f(t, r, i), before = h(t, r, i);
                const real g = g_h(0, r, i), of_fh = g_fh(0, r, i);
                const real of_f = (c(t, r, i) - before) * g + of_fh * before;
                g_f(t, r, i) = of_f * gate * (1 - gate);
                g_h(0, r, i) = g + gate * (of_fh - g);
            },
            [&](int64_t r, int64_t i) { g_f(t, r, i) = 0; });
        team.wait();
        team.product(g_h, 0, g_f, t, U_f_t);
    }
}

// r, z = sigma(x + U h), m = U_h h + d_h, c = tanh(x_h + r * m), h' = (1 - z) * c + z * h
template <class real>
void gru_forward(Team<real> team) {
    const auto rz = team.next(), c = team.next(), m = team.next(), h = team.next();
    const auto U = team.next(), U_h = team.next(), d_h = team.next();
    const auto reset = team.gate(rz, 0), update = team.gate(rz, 1);
    for (int64_t t = 0; t < team.steps; t++) {
        team.product(rz, t, h, t, U, 1, 2);
        team.each(t, [&](int64_t r, int64_t i) { m(t, r, i) = d_h(0, 0, i); });
        team.product(m, t, h, t, U_h);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real kept = sigmoid(reset(t, r, i)), z = sigmoid(update(t, r, i));
                const real candidate = hyperbolic_tangent(c(t, r, i) + kept * m(t, r, i));
                reset(t, r, i) = kept;
                update(t, r, i) = z;
                c(t, r, i) = candidate;
                h(t + 1, r, i) = candidate + z * (h(t, r, i) - candidate);
            },
            [&](int64_t r, int64_t i) { h(t + 1, r, i) = h(t, r, i); });
        team.wait();
    }
}

template <class real>
void gru_backward(Team<real> team) {
    const auto rz = team.next(), c = team.next(), m = team.next(), h = team.next();
    const auto U_t = team.next(), U_h_t = team.next();
    const auto g_rz = team.next(), g_c = team.next(), g_m = team.next(), g_h = team.next();
    const auto g_out = team.next();
    const auto reset = team.gate(rz, 0), update = team.gate(rz, 1);
    const auto g_reset = team.gate(g_rz, 0), g_update = team.gate(g_rz, 1);
    for (int64_t t = team.steps - 1; t >= 0; t--) {
        add_output(team, g_h, g_out, t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real kept = reset(t, r, i), z = update(t, r, i), candidate = c(t, r, i);
                const real g = g_h(0, r, i), of_c = g * (1 - z) * (1 - candidate * candidate);
                g_c(t, r, i) = of_c;
                g_m(t, r, i) = of_c * kept;
                g_reset(t, r, i) = of_c * m(t, r, i) * kept * (1 - kept);
                g_update(t, r, i) = (h(t, r, i) - candidate) * g * z * (1 - z);
                g_h(0, r, i) = g * z;
            },
            [&](int64_t r, int64_t i) {
                g_c(t, r, i) = g_m(t, r, i) = g_reset(t, r, i) = g_update(t, r, i) = 0;
            });
        team.wait();
        team.product(g_h, 0, g_rz, t, U_t, 2);
        team.product(g_h, 0, g_m, t, U_h_t);
    }
}

// z, r = sigma(x + U h), c = tanh(x_h + U_h (r * h)), h' = (1 - z) * h + z * c
template <class real>
void gru_chung_forward(Team<real> team) {
    const auto zr = team.next(), c = team.next(), h = team.next();
    const auto U = team.next(), U_h = team.next(), rh = team.next();
    const auto update = team.gate(zr, 0), reset = team.gate(zr, 1);
    for (int64_t t = 0; t < team.steps; t++) {
        team.product(zr, t, h, t, U, 1, 2);
        team.each(t, [&](int64_t r, int64_t i) {
            const real kept = sigmoid(reset(t, r, i));
            reset(t, r, i) = kept;
            update(t, r, i) = sigmoid(update(t, r, i));
            rh(0, r, i) = kept * h(t, r, i);
        });
        team.wait();
        team.product(c, t, rh, 0, U_h);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real candidate = hyperbolic_tangent(c(t, r, i)), before = h(t, r, i);
                c(t, r, i) = candidate;
                h(t + 1, r, i) = before + update(t, r, i) * (candidate - before);
            },
            [&](int64_t r, int64_t i) { h(t + 1, r, i) = h(t, r, i); });
        team.wait();
    }
}

template <class real>
void gru_chung_backward(Team<real> team) {
    const auto zr = team.next(), c = team.next(), h = team.next();
    const auto U_h_t = team.next(), U_t = team.next(), g_rh = team.next();
    const auto g_zr = team.next(), g_c = team.next(), g_h = team.next(), g_out = team.next();
    const auto update = team.gate(zr, 0), reset = team.gate(zr, 1);
    const auto g_update = team.gate(g_zr, 0), g_reset = team.gate(g_zr, 1);
    for (int64_t t = team.steps - 1; t >= 0; t--) {
        add_output(team, g_h, g_out, t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real z = update(t, r, i), candidate = c(t, r, i), g = g_h(0, r, i);
                g_c(t, r, i) = g * z * (1 - candidate * candidate);
                g_update(t, r, i) = (candidate - h(t, r, i)) * g * z * (1 - z);
                g_h(0, r, i) = g * (1 - z);
                g_rh(0, r, i) = 0;
            },
            [&](int64_t r, int64_t i) { g_c(t, r, i) = g_update(t, r, i) = 0; });
        team.wait();
        team.product(g_rh, 0, g_c, t, U_h_t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real kept = reset(t, r, i), of_rh = g_rh(0, r, i);
                g_reset(t, r, i) = of_rh * h(t, r, i) * kept * (1 - kept);
                g_h(0, r, i) += of_rh * kept;
            },
            [&](int64_t r, int64_t i) { g_reset(t, r, i) = 0; });
        team.wait();
        team.product(g_h, 0, g_zr, t, U_t, 2);
    }
}

// i, f, o = sigma(x + U h), g = tanh(x_g + U_g h), c' = f * c + i * g, h' = o * tanh(c')
template <class real>
void lstm_forward(Team<real> team) {
    const auto gates = team.next(), h = team.next(), c = team.next(), U = team.next();
    const auto in = team.gate(gates, 0), forget = team.gate(gates, 1);
    const auto candidate = team.gate(gates, 2), out = team.gate(gates, 3);
    for (int64_t t = 0; t < team.steps; t++) {
        team.product(gates, t, h, t, U, 1, 4);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real i_t = sigmoid(in(t, r, i)), f_t = sigmoid(forget(t, r, i));
                const real g_t = hyperbolic_tangent(candidate(t, r, i));
                const real o_t = sigmoid(out(t, r, i)), after = f_t * c(t, r, i) + i_t * g_t;
                in(t, r, i) = i_t;
                forget(t, r, i) = f_t;
                candidate(t, r, i) = g_t;
                out(t, r, i) = o_t;
                c(t + 1, r, i) = after;
                h(t + 1, r, i) = o_t * hyperbolic_tangent(after);
            },
            [&](int64_t r, int64_t i) {
                c(t + 1, r, i) = c(t, r, i);
                h(t + 1, r, i) = h(t, r, i);
            });
        team.wait();
    }
}

template <class real>
void lstm_backward(Team<real> team) {
    const auto gates = team.next();
    team.next();  // h
    const auto c = team.next(), U_t = team.next();
    const auto g_gates = team.next(), g_h = team.next(), g_c = team.next(), g_out = team.next();
    const auto in = team.gate(gates, 0), forget = team.gate(gates, 1);
    const auto candidate = team.gate(gates, 2), out = team.gate(gates, 3);
    const auto g_in = team.gate(g_gates, 0), g_forget = team.gate(g_gates, 1);
    const auto g_candidate = team.gate(g_gates, 2), g_o = team.gate(g_gates, 3);
    for (int64_t t = team.steps - 1; t >= 0; t--) {
        add_output(team, g_h, g_out, t);
        team.each(
            t,
            [&](int64_t r, int64_t i) {
                const real i_t = in(t, r, i), f_t = forget(t, r, i), g_t = candidate(t, r, i);
                const real o_t = out(t, r, i), y = hyperbolic_tangent(c(t + 1, r, i));
                const real g = g_h(0, r, i), of_c = g_c(0, r, i) + g * o_t * (1 - y * y);
                g_o(t, r, i) = g * y * o_t * (1 - o_t);
                g_in(t, r, i) = of_c * g_t * i_t * (1 - i_t);
                g_candidate(t, r, i) = of_c * i_t * (1 - g_t * g_t);
                g_forget(t, r, i) = of_c * c(t, r, i) * f_t * (1 - f_t);
                g_c(0, r, i) = of_c * f_t;
                g_h(0, r, i) = 0;
            },
            [&](int64_t r, int64_t i) {
                g_o(t, r, i) = g_in(t, r, i) = g_candidate(t, r, i) = g_forget(t, r, i) = 0;
            });
        team.wait();
        team.product(g_h, 0, g_gates, t, U_t, 4);
    }
}

}  // namespace

// One function for each cell, pass and dtype, which Python finds by its name. products: the number
// of (H, H) products of a step.
#define PASS(name, dtype, type, products, function)          \
    extern "C" void name##_##dtype(const Run* run) {         \
        using real = type;                                   \
        in_parallel<real>(*run, products, function);         \
    }
#define EXPORT(name, products, forward, backward)            \
    PASS(name##_forward, float32, float, products, forward)  \
    PASS(name##_forward, float64, double, products, forward) \
    PASS(name##_backward, float32, float, products, backward) \
    PASS(name##_backward, float64, double, products, backward)

EXPORT(vanilla, 1, (simple_forward<real, true>), (simple_backward<real, true>))
EXPORT(linear, 1, (simple_forward<real, false>), (simple_backward<real, false>))
EXPORT(order2, 3, (order2_forward<real, true>), (order2_backward<real, true>))
EXPORT(order2_linear, 3, (order2_forward<real, false>), (order2_backward<real, false>))
EXPORT(mgu, 2, mgu_forward<real>, mgu_backward<real>)
EXPORT(gru, 3, gru_forward<real>, gru_backward<real>)
EXPORT(gru_chung, 3, gru_chung_forward<real>, gru_chung_backward<real>)
EXPORT(lstm, 4, lstm_forward<real>, lstm_backward<real>)
