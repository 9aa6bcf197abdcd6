// A matrix as a grid of tiles: mean and extrema of each tile of a rectangle of it, read in place.
//
// Purpose   Heat maps of weights, gradients and updates on a GPU: four words for each tile are copied to the host, for a matrix of any size.
// Formula   Tile (i, j) of a part of R rows in t tiles covers rows i R / t up to (i + 1) R / t (integer division), columns likewise. Its
//           mean is the sum of x / n over its n elements, so that no sum overflows; the host multiplies by n over the number of finite ones.
// Bindings  0  the matrix's 32-bit floats as words, from its offset on
//           1  one tile of four words for each workgroup: scaled mean, minimum, maximum, count of finite values
//           2  layout of the matrix, its window and its grid of tiles
// Threads   A workgroup reduces a tile; thread t reads its elements t, t + 64, t + 128, ... in logical order
// Reference `engine::kernels::reduce::tiles`

struct Tile {
    mean: f32,
    min: u32,
    max: u32,
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
    let is_inside = group < tensor.grid.x * tensor.grid.y;
    var tile = Tile(0.0, 0xffffffffu, 0u, 0u);
    if is_inside {
        let i = group / tensor.grid.y;
        let j = group % tensor.grid.y;
        let top = i * tensor.window.z / tensor.grid.x;
        let left = j * tensor.window.w / tensor.grid.y;
        let columns = (j + 1u) * tensor.window.w / tensor.grid.y - left;
        let elements = ((i + 1u) * tensor.window.z / tensor.grid.x - top) * columns;
        let weight = 1.0 / f32(elements);
        for (var e = thread; e < elements; e += THREADS) {
            let row = tensor.window.x + top + e / columns;
            let column = tensor.window.y + left + e % columns;
            let bits = values[offset(row * tensor.shape[3] + column)];
            if (bits & EXPONENT) != EXPONENT {
                let key = ordered(bits);
                tile.mean += bitcast<f32>(bits) * weight;
                tile.min = min(tile.min, key);
                tile.max = max(tile.max, key);
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
                Tile(a.mean + b.mean, min(a.min, b.min), max(a.max, b.max), a.count + b.count);
        }
        workgroupBarrier();
    }
    if thread == 0u && is_inside {
        tiles[group] = shared_tiles[0];
    }
}
