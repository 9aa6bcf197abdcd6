// A matrix as a grid of tiles: mean and extrema of each tile of a rectangle of it, read in place.
//
// Purpose   Heat maps of weights, gradients and updates on a GPU: four words for each tile cross to the host, however large the matrix.
// Formula   Tile (i, j) of a part of R rows in t tiles holds rows i R / t up to (i + 1) R / t (whole-number division), columns likewise. Its
//           mean is the sum of x / n, n being all its elements, so that no sum overflows; the host multiplies by n over the finite ones.
// Bindings  0  the matrix's 32-bit floats as words, from its own offset on
//           1  one tile of four words for each workgroup: scaled mean, least, greatest, count of finite values
//           2  where this matrix's values are, which part, how many tiles
// Threads   A workgroup takes a tile; thread t takes its elements t, t + 64, t + 128, ... in logical order
// Reference `engine::kernels::reduce::tiles`

struct Tile {
    mean: f32,
    least: u32,
    greatest: u32,
    count: u32,
}

@group(0) @binding(1) var<storage, read_write> tiles: array<Tile>;

const THREADS: u32 = 64u;

var<workgroup> shared_tiles: array<Tile, THREADS>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = number(workgroup, workgroups);
    let is_inside = group < tap.grid.x * tap.grid.y;
    var tile = Tile(0.0, 0xffffffffu, 0u, 0u);
    if is_inside {
        let i = group / tap.grid.y;
        let j = group % tap.grid.y;
        let top = i * tap.window.z / tap.grid.x;
        let left = j * tap.window.w / tap.grid.y;
        let columns = (j + 1u) * tap.window.w / tap.grid.y - left;
        let elements = ((i + 1u) * tap.window.z / tap.grid.x - top) * columns;
        let share = 1.0 / f32(elements);
        for (var e = thread; e < elements; e += THREADS) {
            let row = tap.window.x + top + e / columns;
            let column = tap.window.y + left + e % columns;
            let bits = values[place(row * tap.shape[3] + column)];
            if (bits & EXPONENT) != EXPONENT {
                let key = ordered(bits);
                tile.mean += bitcast<f32>(bits) * share;
                tile.least = min(tile.least, key);
                tile.greatest = max(tile.greatest, key);
                tile.count += 1u;
            }
        }
    }
    shared_tiles[thread] = tile;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            let a = shared_tiles[thread];
            let b = shared_tiles[thread + half];
            shared_tiles[thread] =
                Tile(a.mean + b.mean, min(a.least, b.least), max(a.greatest, b.greatest), a.count + b.count);
        }
        workgroupBarrier();
    }
    if thread == 0u && is_inside {
        tiles[group] = shared_tiles[0];
    }
}
