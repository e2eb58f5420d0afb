// Products of a few rows with a weight: out += x W.
//
// A tile of the output stays in registers while its sums run over the inner dimension. Every
// element is summed in the same order, whichever tile it belongs to, so the result does not depend
// on how the rows and columns are shared among threads.

#pragma once

#include <cstdint>

using std::int64_t;

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, TILE_VECTORS = 4;  // 32 registers
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, TILE_VECTORS = 2;  // 16 registers
#else
constexpr int VECTOR_BYTES = 16, TILE_VECTORS = 2;
#endif
constexpr int TILE_ROWS = 4;
constexpr int DOTS = 4;  // at once
constexpr int ROW_VECTORS = 8;  // of a tile with one row: enough sums to hide the latency of one

template <class real>
struct Vector {
    typedef real type __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
    static constexpr int size = VECTOR_BYTES / sizeof(real);
};

// What a product reads and writes. X_row, X_column: distance between the rows or columns of X in
// memory, in elements. inner: the number of terms of every sum.
template <class real>
struct Product {
    real* out;
    int64_t out_row;
    const real* x;
    int64_t x_row;
    const real* weight;
    int64_t weight_row, weight_column;  // one of them is 1
    int64_t inner;
};

template <class real, int ROWS, int VECTORS>
inline void tile(const Product<real>& p, int64_t row, int64_t column) {
    using V = typename Vector<real>::type;
    constexpr int size = Vector<real>::size;
    V sum[ROWS][VECTORS];
    real* out = p.out + row * p.out_row + column;
    const real* x = p.x + row * p.x_row;
    const real* weight = p.weight + column;
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++) sum[r][v] = *(const V*)(out + r * p.out_row + v * size);
    for (int64_t k = 0; k < p.inner; k++, weight += p.weight_row)
        for (int v = 0; v < VECTORS; v++) {
            const V w = *(const V*)(weight + v * size);
            for (int r = 0; r < ROWS; r++) sum[r][v] += x[r * p.x_row + k] * w;
        }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < VECTORS; v++) *(V*)(out + r * p.out_row + v * size) = sum[r][v];
}

// Rows [first, last) of VECTORS vectors of columns.
template <class real, int VECTORS>
inline void columns(const Product<real>& p, int64_t first, int64_t last, int64_t column) {
    int64_t row = first;
    for (; row + TILE_ROWS <= last; row += TILE_ROWS)
        tile<real, TILE_ROWS, VECTORS>(p, row, column);
    for (; row < last; row++) tile<real, 1, VECTORS>(p, row, column);
}

// The weight's rows are contiguous.
template <class real>
void product_by_rows(const Product<real>& p, int64_t row, int64_t rows, int64_t column,
                     int64_t last) {
    constexpr int size = Vector<real>::size;
    if (rows - row == 1)
        for (; column + ROW_VECTORS * size <= last; column += ROW_VECTORS * size)
            tile<real, 1, ROW_VECTORS>(p, row, column);
    for (; column + TILE_VECTORS * size <= last; column += TILE_VECTORS * size)
        columns<real, TILE_VECTORS>(p, row, rows, column);
    for (; column + size <= last; column += size) columns<real, 1>(p, row, rows, column);
    for (; column < last; column++)
        for (int64_t r = row; r < rows; r++) {
            real sum = p.out[r * p.out_row + column];
            for (int64_t k = 0; k < p.inner; k++)
                sum += p.x[r * p.x_row + k] * p.weight[k * p.weight_row + column];
            p.out[r * p.out_row + column] = sum;
        }
}

// The weight's columns are contiguous: COLUMNS dot products at once.
template <class real, int COLUMNS>
inline void dots(const Product<real>& p, int64_t row, int64_t column) {
    using V = typename Vector<real>::type;
    constexpr int size = Vector<real>::size;
    const real* x = p.x + row * p.x_row;
    const real* weight = p.weight + column * p.weight_column;
    V sums[COLUMNS] = {};
    int64_t k = 0;
    for (; k + size <= p.inner; k += size) {
        const V one = *(const V*)(x + k);
        for (int c = 0; c < COLUMNS; c++)
            sums[c] += one * *(const V*)(weight + c * p.weight_column + k);
    }
    for (int c = 0; c < COLUMNS; c++) {
        real sum = 0;
        for (int i = 0; i < size; i++) sum += sums[c][i];
        for (int64_t rest = k; rest < p.inner; rest++)
            sum += x[rest] * weight[c * p.weight_column + rest];
        p.out[row * p.out_row + column + c] += sum;
    }
}

template <class real>
void product_by_columns(const Product<real>& p, int64_t row, int64_t rows, int64_t column,
                        int64_t last) {
    for (; row < rows; row++) {
        int64_t c = column;
        for (; c + DOTS <= last; c += DOTS) dots<real, DOTS>(p, row, c);
        for (; c < last; c++) dots<real, 1>(p, row, c);
    }
}
