// A team of threads that runs the steps of one block.
//
// Sequences do not depend on each other, so each thread takes some of the rows and runs over all
// steps alone. If there are too few rows, as for a single sequence, each thread takes some of the
// columns of all rows, and waits for the others wherever a product reads what they have written.

#pragma once

#include <omp.h>

#include <algorithm>

#include "products.h"

constexpr int64_t LEAST_ROWS = 4;      // of a thread
constexpr int64_t LEAST_COLUMNS = 64;  // of a thread
// Multiplications of a step from which on waiting for other threads is cheaper than working alone.
constexpr int64_t LEAST_SHARED = 1 << 17;

// A tensor in memory: distances in elements. The columns of all but the weights are contiguous.
struct Strided {
    void* data;
    int64_t step, row, column;
};

// A block: what Python passes. padding: (steps, rows), or null; tensors: in the order in which a
// cell takes them.
struct Run {
    int64_t steps, rows, hidden, threads;
    const bool* padding;
    const Strided* tensors;
};

template <class real>
struct Tensor {
    real* data;
    int64_t step, row, column;

    explicit Tensor(const Strided& one)
        : data((real*)one.data), step(one.step), row(one.row), column(one.column) {}
    real* at(int64_t t, int64_t r) const { return data + t * step + r * row; }
    real& operator()(int64_t t, int64_t r, int64_t c) const { return data[t * step + r * row + c]; }
    // The n-th of several tensors of `width` columns that lie side by side.
    Tensor part(int64_t n, int64_t width) const {
        Tensor one = *this;
        one.data += n * width * column;
        return one;
    }
};

// The share of one thread, and what it does with it.
template <class real>
class Team {
   public:
    const int64_t steps, hidden;

    Team(const Run& run, int64_t member, int64_t members, bool by_columns)
        : steps(run.steps), hidden(run.hidden), rows_(run.rows), padding_(run.padding),
          next_(run.tensors), by_columns_(by_columns) {
        const int64_t size = Vector<real>::size, vectors = (hidden + size - 1) / size;
        const int64_t next = member + 1;
        first_row_ = by_columns ? 0 : rows_ * member / members;
        last_row_ = by_columns ? rows_ : rows_ * next / members;
        first_column_ = by_columns ? vectors * member / members * size : 0;
        last_column_ = by_columns ? std::min(hidden, vectors * next / members * size) : hidden;
    }

    Tensor<real> next() { return Tensor<real>(*next_++); }

    // The n-th gate of a group of gates that lie side by side.
    Tensor<real> gate(const Tensor<real>& group, int64_t n) const { return group.part(n, hidden); }

    // out += x W at step t, for `gates` gates side by side; x has `inputs` times H columns.
    void product(const Tensor<real>& out, int64_t t, const Tensor<real>& x, int64_t t_x,
                 const Tensor<real>& W, int64_t inputs = 1, int64_t gates = 1) const {
        for (int64_t n = 0; n < gates; n++) {
            const Tensor<real> w = gate(W, n);
            const Product<real> p{gate(out, n).at(t, 0), out.row, x.at(t_x, 0),
                                  x.row, w.data, w.row, w.column, inputs * hidden};
            if (w.column == 1)
                product_by_rows(p, first_row_, last_row_, first_column_, last_column_);
            else
                product_by_columns(p, first_row_, last_row_, first_column_, last_column_);
        }
    }

    // Call running(row, column) for every element of this thread's share of step t, but ended(row,
    // column) after the end of a sequence.
    template <class Running, class Ended>
    void each(int64_t t, Running running, Ended ended) const {
        for (int64_t r = first_row_; r < last_row_; r++)
            if (padding_ && padding_[t * rows_ + r])
                row(r, ended);
            else
                row(r, running);
    }

    // Call body(row, column) for every element of this thread's share of step t.
    template <class Body>
    void each(int64_t t, Body body) const {
        each(t, body, body);
    }

    // Wait until all threads have written what the next product reads.
    void wait() const {
        if (by_columns_) {
#pragma omp barrier
        }
    }

   private:
    // Flattened: a loop is vectorised only if everything in it is inlined.
    template <class Body>
    __attribute__((flatten)) void row(int64_t r, Body body) const {
#pragma omp simd
        for (int64_t c = first_column_; c < last_column_; c++) body(r, c);
    }

    const int64_t rows_;
    const bool* padding_;
    const Strided* next_;
    const bool by_columns_;
    int64_t first_row_, last_row_, first_column_, last_column_;
};

// Run body(team) in as many threads as have enough to do. `products`: (H, H) products of a step.
template <class real, class Body>
void in_parallel(const Run& run, int64_t products, Body body) {
    const int64_t by_rows = run.rows / LEAST_ROWS;
    const bool large = run.rows * products * run.hidden * run.hidden >= LEAST_SHARED;
    const int64_t by_columns = large ? run.hidden / LEAST_COLUMNS : 1;
    const int64_t threads = std::min(run.threads, std::max(by_rows, by_columns));
    const bool columns = threads > by_rows;
    if (threads <= 1) return body(Team<real>(run, 0, 1, false));
    // A team of another size than torch's makes OpenMP end and start threads. Where no thread waits
    // for others, those with nothing to do may be in the team.
#pragma omp parallel num_threads(columns ? threads : run.threads)
    {
        const int64_t members = std::min<int64_t>(threads, omp_get_num_threads());
        const int64_t member = omp_get_thread_num();
        if (member < members) body(Team<real>(run, member, members, columns));
    }
}
