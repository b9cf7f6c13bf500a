// All arguments of nests that are launched together: the step, then for every nest a row, its first block, its number of
// threads and its pointers. Rows of nests with the same text stand together.
template <int N> struct sn_table {
    u64 at[N];
};

// Where the row of a block begins, of so many rows of a width from an entry on.
template <int N> SN_DEV u32 sn_row(const sn_table<N>& table, u32 from, u32 width, u32 rows, u32 block) {
    u32 low = 0;
    for (u32 above = rows; above - low > 1;) {
        const u32 middle = (low + above) / 2;
        if (block < (u32)table.at[from + middle * width])
            above = middle;
        else
            low = middle;
    }
    return from + low * width;
}
