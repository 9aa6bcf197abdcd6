// How every kernel reads a tensor; `lib.rs` appends it to each of them.

// Element i lies at the sum of its coordinates times `strides`; `shape` is filled up with ones in front. A matrix is all rows of the last
// dimension. `window`: first row, first column, rows, columns of a part of it. `grid`: tiles downwards and across.
struct Tap {
    count: u32,
    first_partial: u32,
    is_flat: u32,
    unused: u32,
    shape: vec4<u32>,
    strides: vec4<u32>,
    window: vec4<u32>,
    grid: vec4<u32>,
}

// 32-bit floats as words: a compiler may assume that floats are never NaN.
@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<uniform> tap: Tap;

const SIGN: u32 = 0x80000000u;
const EXPONENT: u32 = 0x7f800000u;

// Words in the order of their floats.
fn ordered(bits: u32) -> u32 {
    return select(bits | SIGN, ~bits, (bits & SIGN) != 0u);
}

// Where an element lies, counted in elements.
fn place(element: u32) -> u32 {
    if tap.is_flat != 0u {
        return element;
    }
    var rest = element;
    var place = 0u;
    for (var d = 3i; d >= 0i; d--) {
        place += (rest % tap.shape[d]) * tap.strides[d];
        rest /= tap.shape[d];
    }
    return place;
}

// The number of a workgroup: more than one dimension holds are laid out in rows, and the last row may reach past the end.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
