// Reads a tensor in place. `lib.rs` appends this file to each kernel.

// The offset of an element is the sum of its coordinates times `strides`; `shape` is padded with leading ones. The rows of a matrix are those
// of the last dimension. `window`: first row, first column, rows, columns of a part of the matrix. `grid`: rows and columns of tiles.
struct TensorLayout {
    count: u32,
    first_partial: u32,
    is_flat: u32,
    unused: u32,
    shape: vec4<u32>,
    strides: vec4<u32>,
    window: vec4<u32>,
    grid: vec4<u32>,
}

// 32-bit floats as words, because a compiler may assume that floats are never NaN.
@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<uniform> tensor: TensorLayout;

const SIGN: u32 = 0x80000000u;
const EXPONENT: u32 = 0x7f800000u;

// Maps the bits of a float to a word, so that words are ordered as their floats are.
fn ordered(bits: u32) -> u32 {
    return select(bits | SIGN, ~bits, (bits & SIGN) != 0u);
}

// The offset of an element in the buffer, in elements.
fn offset(element: u32) -> u32 {
    if tensor.is_flat != 0u {
        return element;
    }
    var rest = element;
    var sum = 0u;
    for (var d = 3i; d >= 0i; d--) {
        sum += (rest % tensor.shape[d]) * tensor.strides[d];
        rest /= tensor.shape[d];
    }
    return sum;
}

// The index of a workgroup. Workgroups above the limit of one dimension form further rows; the last row may extend past the end.
fn number(workgroup: vec3<u32>, workgroups: vec3<u32>) -> u32 {
    return workgroup.y * workgroups.x + workgroup.x;
}
