//! A random forest of regression trees on the unit cube (Breiman 2001): each tree is grown on a bootstrap sample, to leaves of equal values, by
//! the split that leaves the smallest sum of squares. All dimensions are tried at each split, as scikit-learn's regressor does by default.

/// A node of a tree, by its place in [`Tree::nodes`].
#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// Mean of the results in it.
    Leaf(f64),
    /// Places below `at` are in the first, others in the second.
    Split { dimension: usize, at: f64, below: usize, above: usize },
}

/// A regression tree.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// The root first.
    nodes: Vec<Node>,
    dimensions: usize,
    /// Whether each result was in its sample.
    is_sampled: Vec<bool>,
}

/// A box on which a tree is constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    pub(super) value: f64,
    /// Lower and upper bound in each dimension.
    pub(super) bounds: Vec<(f64, f64)>,
}

impl Leaf {
    /// Its part of the cube.
    pub(super) fn volume(&self) -> f64 {
        self.bounds.iter().map(|(low, high)| high - low).product()
    }
}

/// The trees.
#[derive(Debug, Clone)]
pub(super) struct Forest {
    pub(super) trees: Vec<Tree>,
}

impl Forest {
    /// Grows `trees` trees on results at places of the unit cube; at least one result.
    pub(super) fn grow(places: &[Vec<f64>], values: &[f64], trees: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let grow = |_| {
            let sample: Vec<usize> = (0..values.len()).map(|_| random.usize(..values.len())).collect();
            Tree::grow(places, values, sample)
        };
        Self { trees: (0..trees).map(grow).collect() }
    }

    /// 1 - the sum of squared errors of out-of-bag predictions / the sum of squares around the mean; `None` if all results are equal, or
    /// were in all samples.
    pub(super) fn explained(&self, places: &[Vec<f64>], values: &[f64]) -> Option<f64> {
        let predicted: Vec<(f64, f64)> =
            (0..values.len()).filter_map(|at| Some((values[at], self.without(at, &places[at])?))).collect();
        let mean = predicted.iter().map(|(value, _)| value).sum::<f64>() / predicted.len() as f64;
        let total: f64 = predicted.iter().map(|(value, _)| (value - mean).powi(2)).sum();
        let error: f64 = predicted.iter().map(|(value, predicted)| (value - predicted).powi(2)).sum();
        (total > 0.0).then(|| 1.0 - error / total)
    }

    /// The mean prediction of the trees whose samples do not have a result.
    fn without(&self, result: usize, place: &[f64]) -> Option<f64> {
        let others: Vec<f64> =
            self.trees.iter().filter(|tree| !tree.is_sampled[result]).map(|tree| tree.predict(place)).collect();
        (!others.is_empty()).then(|| others.iter().sum::<f64>() / others.len() as f64)
    }
}

impl Tree {
    fn grow(places: &[Vec<f64>], values: &[f64], sample: Vec<usize>) -> Self {
        let mut is_sampled = vec![false; values.len()];
        sample.iter().for_each(|at| is_sampled[*at] = true);
        let dimensions = places.first().map_or(0, Vec::len);
        let mut tree = Self { nodes: vec![Node::Leaf(0.0)], dimensions, is_sampled };
        // Nodes that are still to be split, with their results. A loop, because a tree can be as deep as it has results.
        let mut open = vec![(0, sample)];
        while let Some((node, members)) = open.pop() {
            match split(places, values, &members, dimensions) {
                None => tree.nodes[node] = Node::Leaf(mean(values, &members)),
                Some((dimension, at)) => {
                    let (low, high) = members.into_iter().partition(|member| places[*member][dimension] < at);
                    let below = tree.nodes.len();
                    tree.nodes[node] = Node::Split { dimension, at, below, above: below + 1 };
                    tree.nodes.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
                    open.extend([(below, low), (below + 1, high)]);
                }
            }
        }
        tree
    }

    fn predict(&self, place: &[f64]) -> f64 {
        let mut node = 0;
        loop {
            match self.nodes[node] {
                Node::Leaf(value) => return value,
                Node::Split { dimension, at, below, above } => {
                    node = if place[dimension] < at { below } else { above };
                }
            }
        }
    }

    /// The boxes of its leaves, which fill the cube.
    pub(super) fn leaves(&self) -> Vec<Leaf> {
        let (mut found, mut open) = (vec![], vec![(0, vec![(0.0, 1.0); self.dimensions])]);
        while let Some((node, bounds)) = open.pop() {
            match self.nodes[node] {
                Node::Leaf(value) => found.push(Leaf { value, bounds }),
                Node::Split { dimension, at, below, above } => {
                    let (mut low, mut high) = (bounds.clone(), bounds);
                    (low[dimension].1, high[dimension].0) = (at, at);
                    open.extend([(below, low), (above, high)]);
                }
            }
        }
        found
    }
}

fn mean(values: &[f64], members: &[usize]) -> f64 {
    members.iter().map(|at| values[*at]).sum::<f64>() / members.len() as f64
}

/// The dimension and the place of the split that leaves the smallest sum of squares; `None` for equal values, and for results at one place.
///
/// The sum of squares of two parts is that of the whole minus n_1 n_2 / n (mean_1 - mean_2)², so the largest gain is searched.
fn split(places: &[Vec<f64>], values: &[f64], members: &[usize], dimensions: usize) -> Option<(usize, f64)> {
    let first = values[*members.first()?];
    if members.iter().all(|at| values[*at] == first) {
        return None;
    }
    let (sum, count) = (members.iter().map(|at| values[*at]).sum::<f64>(), members.len() as f64);
    let mut best: Option<(f64, usize, f64)> = None;
    let mut sorted = members.to_vec();
    for dimension in 0..dimensions {
        sorted.sort_by(|a, b| places[*a][dimension].total_cmp(&places[*b][dimension]));
        let mut below = 0.0;
        for (at, pair) in sorted.windows(2).enumerate() {
            below += values[pair[0]];
            let (low, high) = (places[pair[0]][dimension], places[pair[1]][dimension]);
            let middle = low + (high - low) / 2.0;
            // Neighbouring floating-point numbers have no place between them.
            if !(low < middle && middle <= high) {
                continue;
            }
            let lower = (at + 1) as f64;
            let difference = below / lower - (sum - below) / (count - lower);
            let gain = lower * (count - lower) / count * difference * difference;
            if best.is_none_or(|(most, ..)| gain > most) {
                best = Some((gain, dimension, middle));
            }
        }
    }
    best.map(|(_, dimension, at)| (dimension, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_predicts_its_sample_and_its_leaves_fill_the_cube() {
        let places: Vec<Vec<f64>> = [0.1, 0.4, 0.6, 0.9].into_iter().map(|x| vec![x, 0.5]).collect();
        let values = [1.0, 1.0, 3.0, 5.0];
        let tree = Tree::grow(&places, &values, vec![0, 1, 2, 3]);
        for (place, value) in places.iter().zip(values) {
            assert_eq!(tree.predict(place), value);
        }
        let leaves = tree.leaves();
        assert_eq!(leaves.len(), 3, "equal values are one leaf");
        assert!((leaves.iter().map(Leaf::volume).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn results_at_one_place_are_one_leaf() {
        let tree = Tree::grow(&[vec![0.5], vec![0.5]], &[1.0, 3.0], vec![0, 1]);
        assert_eq!(tree.leaves(), [Leaf { value: 2.0, bounds: vec![(0.0, 1.0)] }]);
    }
}
