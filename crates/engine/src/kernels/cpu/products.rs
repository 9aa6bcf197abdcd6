//! Products of matrices that are views of slices, computed on one thread by the kernels of `gemm`, which packs any strides.

use gemm::Parallelism;

/// A matrix in a slice: element `[row, column]` is at `row * strides[0] + column * strides[1]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<V> {
    pub(crate) values: V,
    pub(crate) shape: [usize; 2],
    pub(crate) strides: [usize; 2],
}

impl<V: AsRef<[f32]>> Matrix<V> {
    /// A whole slice, row by row.
    pub(crate) fn dense(values: V, columns: usize) -> Self {
        let rows = values.as_ref().len() / columns;
        Self { values, shape: [rows, columns], strides: [columns, 1] }
    }

    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [down, right]) = (self.shape, self.strides);
        Self { shape: [columns, rows], strides: [right, down], ..self }
    }

    /// Whether every element is in the slice.
    fn is_inside(&self) -> bool {
        let last = |at: usize| (self.shape[at] - 1) * self.strides[at];
        self.shape.contains(&0) || last(0) + last(1) < self.values.as_ref().len()
    }
}

impl<'a> Matrix<&'a [f32]> {
    /// `count` rows from row `from` on.
    pub(crate) fn rows(self, from: usize, count: usize) -> Self {
        Self { values: &self.values[from * self.strides[0]..], shape: [count, self.shape[1]], ..self }
    }
}

impl Matrix<&mut [f32]> {
    /// `count` rows from row `from` on.
    pub(crate) fn rows(&mut self, from: usize, count: usize) -> Matrix<&mut [f32]> {
        let values = &mut self.values[from * self.strides[0]..];
        Matrix { values, shape: [count, self.shape[1]], strides: self.strides }
    }

    /// A row whose columns are side by side.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        let from = row * self.strides[0];
        &mut self.values[from..from + self.shape[1]]
    }

    /// All of it, for one product.
    pub(crate) fn all(&mut self) -> Matrix<&mut [f32]> {
        self.rows(0, self.shape[0])
    }

    pub(crate) fn view(&self) -> Matrix<&[f32]> {
        Matrix { values: &*self.values, shape: self.shape, strides: self.strides }
    }
}

/// `out = a b`, or `out += a b`.
///
/// # Panics
/// The shapes do not match, or an element is outside its slice.
#[allow(unsafe_code)]
pub(crate) fn multiply(out: Matrix<&mut [f32]>, is_added: bool, a: Matrix<&[f32]>, b: Matrix<&[f32]>) {
    let ([rows, columns], depth) = (out.shape, a.shape[1]);
    assert_eq!((a.shape, b.shape), ([rows, depth], [depth, columns]), "shapes of a product");
    assert!(out.is_inside() && a.is_inside() && b.is_inside(), "a matrix is outside its slice");
    let stride = |strides: [usize; 2], at: usize| strides[at] as isize;
    let (o, l, r) = (out.strides, a.strides, b.strides);
    // SAFETY: all elements of the three matrices are inside their slices, and `out` is borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            out.values.as_mut_ptr(),
            stride(o, 1),
            stride(o, 0),
            is_added,
            a.values.as_ptr(),
            stride(l, 1),
            stride(l, 0),
            b.values.as_ptr(),
            stride(r, 1),
            stride(r, 0),
            1.0f32, // factor of the former `out`
            1.0f32, // factor of the product
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_views_equal_sums() {
        let values: Vec<f32> = (0..200).map(|i| (i % 13) as f32 - 6.0).collect();
        let a = Matrix { values: &values[3..], shape: [5, 7], strides: [11, 1] };
        let b = Matrix { values: &values[20..], shape: [4, 7], strides: [9, 2] }.transposed();
        let at = |m: &Matrix<&[f32]>, row: usize, column: usize| m.values[row * m.strides[0] + column * m.strides[1]];
        let mut out = vec![1.0; 40];
        for is_added in [false, true] {
            let before = out.clone();
            multiply(Matrix { values: &mut out[..], shape: [5, 4], strides: [6, 1] }, is_added, a, b);
            for (index, value) in out.iter().enumerate() {
                let (row, column) = (index / 6, index % 6);
                let product = || (0..7).map(|k| at(&a, row, k) * at(&b, k, column)).sum::<f32>();
                let expected = match row < 5 && column < 4 {
                    true => product() + if is_added { before[index] } else { 0.0 },
                    false => before[index],
                };
                assert_eq!(*value, expected, "{row}, {column}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside its slice")]
    fn a_view_outside_its_slice_is_refused() {
        let values = [0.0; 8];
        let a = Matrix { values: &values[..], shape: [3, 3], strides: [3, 1] };
        multiply(Matrix { values: &mut [0.0; 9][..], shape: [3, 3], strides: [3, 1] }, false, a, a);
    }
}
