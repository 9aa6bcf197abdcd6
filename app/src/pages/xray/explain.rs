//! The explanation beside every view: a paragraph, the formula, and what a healthy model shows.

use leptos::prelude::*;

use super::location::Location;
use super::state::XrayState;
use crate::components::shows;

struct Explanation {
    text: &'static str,
    formula: &'static str,
    healthy: &'static str,
}

const OVERVIEW: Explanation = Explanation {
    text: "The components of the model in the order of the forward pass. The embedding turns each token into a \
           vector. Every block then adds to this vector, the residual stream, twice: attention adds information from \
           earlier tokens, and the MLP transforms each position on its own. After the final norm, the head turns the \
           vector into a probability for every possible next token. Click a component to open its view.",
    formula: "x ← x + attention(norm(x));  x ← x + MLP(norm(x));  p = softmax(head(norm(x)))",
    healthy: "Red marks a problem: values that are not finite, more than 50 % dead neurons, an \
              attention score above 100, an update of more than 3 % of the weights, no gradient, or a gradient norm above \
              20 times the median. In a healthy run no component is red. Colors change quickly in the first steps and slowly later.",
};

const ATTENTION: Explanation = Explanation {
    text: "The attention pattern of each head: row i shows how strongly token i attends to itself and to each earlier token j. The \
           color scale follows the square root of the weight, so that small weights remain visible. A bright line \
           just below the diagonal marks a previous-token head. A line farther below the diagonal that begins in the row \
           where a token occurs again marks an induction head: it attends to the token that followed the earlier occurrence.",
    formula: "A = softmax(q·kᵀ / √d_head) over the token itself and earlier tokens; every row sums to 1",
    healthy: "At step 0 all heads attend to all tokens equally. Later they differ: some are sharp, some are broad. \
              Identical heads late in training or attention scores above 100 are warning signs.",
};

const LOGIT_LENS: Explanation = Explanation {
    text: "The prediction of the model at each depth: the residual stream after each block goes directly to the final \
           norm and the head. Read a column downwards to see how the prediction changes from block to block. Below the \
           line in a column, the actual next token is the most likely one.",
    formula: "p(depth) = softmax(head(norm(residual stream after that depth)))",
    healthy: "Deeper rows predict better. If predictions become right only in the last block, the model uses all of \
              its depth. If they are right early, the model is deeper than this text requires.",
};

const NEURONS: Explanation = Explanation {
    text: "The MLP projects the residual stream onto d_ff neurons, applies a non-linearity, and projects the \
           activations back. A row is a neuron, a column is a token; the neurons with the largest absolute activation \
           come first. Click a row to see the validation contexts that activate this neuron most.",
    formula: "h = act(x·W_up) with GELU, or silu(x·W_gate) ⊙ x·W_up with SwiGLU;  output = h·W_down",
    healthy: "Most neurons are inactive on most tokens, and each is strongly active on a few. Many dead neurons are \
              unused width. A high saturated fraction means that the pre-activations have grown too large.",
};

const NEURON: Explanation = Explanation {
    text: "The contexts of the validation split in which this neuron is most active. Compare a few of them: what they \
           have in common is what the neuron responds to. Many neurons respond to several unrelated features.",
    formula: "activation = act(x·W_up)[neuron]; with SwiGLU silu(x·W_gate)[neuron] · (x·W_up)[neuron]",
    healthy: "A few clear contexts. A neuron with the same activation everywhere has no function.",
};

const WEIGHTS: Explanation = Explanation {
    text: "Every matrix as a small heat map: orange is positive, blue is negative, and the background color is zero. \
           Below it is the histogram of its values. Each of its bins spans a factor of two, negative values on the left, so a \
           normal distribution shows two humps. Click a matrix to enlarge it.",
    formula: "color of a cell = mean of the entries in it;  stable rank = |W|²_F / |W|²₂",
    healthy: "At the start the values are pure noise. Structure such as stripes and a few strong rows appears with \
              training. A stable rank near 1 means that a single direction dominates the matrix.",
};

const MATRIX: Explanation = Explanation {
    text: "One parameter. The mouse wheel or the + and − keys zoom down to single values; drag or use the arrow keys \
           to move. Rows are inputs, columns are outputs. The gradient is that of the loss on validation window 0; \
           the update is what the optimizer would apply next.",
    formula: "y = x·W;  AdamW update = −learning_rate · m̂ / (√v̂ + ε)",
    healthy: "Gradients are spread over the matrix. A single strongly colored column in the gradient belongs to one output that \
              causes most of the loss.",
};

const EMBEDDING: Explanation = Explanation {
    text: "The token embeddings, projected onto their first two principal components. Tokens that occur in similar \
           contexts move together during training. Trails show the path of the chosen token and its 3 nearest \
           neighbors. The projection of each step is rotated onto the one before it (Procrustes alignment), so that \
           only real movement is visible.",
    formula: "x, y = first two principal components;  neighbors = largest cosine similarity in all dimensions",
    healthy: "A round cloud at the start, then groups: names, verbs and punctuation; if the tokens are single characters: \
              capitals, lower case and punctuation. On the dataset Modular addition the numbers form rings.",
};

const INTERVENTIONS: Explanation = Explanation {
    text: "Measures what a component contributes. The output of the component is multiplied by a factor in a separate \
           forward pass: 0 ablates it, other factors scale it. The loss on the inspected text and on the first windows of \
           the validation split is measured with and without the intervention, and both versions generate a greedy completion. \
           “Apply to the run” multiplies the weights of the component by the factor once; training continues from there.",
    formula: "output ← factor · output;  Δ = loss with the intervention − loss without it",
    healthy: "Most single heads and neurons have a small effect, a few have a large one. If ablating a block lowers \
              the loss, that block has not learned anything useful yet.",
};

const BATCH: Explanation = Explanation {
    text: "The training sequences of one step, colored by the loss of each token under the current weights. A loss \
           spike is often caused by unusual text: a table, another language, a corrupted file. Beside the sequences \
           are the parameters with the largest gradient norm for this batch.",
    formula: "loss of a token = −ln p(token | tokens before it)",
    healthy: "All sequences have a similar mean loss. One sequence of unusual text with a much higher loss explains a \
              spike.",
};

const EMERGENCE: Explanation = Explanation {
    text: "Some abilities form within a few steps. The chart shows a score of every head over the snapshots. When an \
           induction head forms, the loss often drops at the same time. On the dataset Modular \
           addition, the embedding of the numbers concentrates on a few Fourier frequencies when the model changes from \
           memorizing to generalizing (grokking).",
    formula: "induction = mean attention weight on the token after the previous occurrence of the current token",
    healthy: "On text with repetitions, the induction score of one head in the second block or later rises above 50 % \
              and stays there.",
};

fn explanation(location: &Location) -> &'static Explanation {
    match location {
        Location::Overview => &OVERVIEW,
        Location::Attention { .. } => &ATTENTION,
        Location::LogitLens => &LOGIT_LENS,
        Location::Neurons { .. } => &NEURONS,
        Location::Neuron { .. } => &NEURON,
        Location::Weights { .. } => &WEIGHTS,
        Location::Matrix { .. } => &MATRIX,
        Location::Embedding => &EMBEDDING,
        Location::Interventions => &INTERVENTIONS,
        Location::Batch { .. } => &BATCH,
        Location::Emergence => &EMERGENCE,
    }
}

/// The panel.
#[component]
pub(super) fn Explain() -> impl IntoView {
    let xray = expect_context::<XrayState>();
    shows(move || {
        let Explanation { text, formula, healthy } = explanation(&xray.location.read());
        view! {
            <aside class="sheet padded explain" aria-labelledby="explain-title">
                <h2 id="explain-title">"What does this view show?"</h2>
                <p>{*text}</p>
                <h3>"Formula"</h3>
                <p class="formula mono">{*formula}</p>
                <h3>"Healthy values"</h3>
                <p>{*healthy}</p>
                {(*xray.location.read() == Location::Overview).then(|| view! { <QuantityExplanation xray /> })}
            </aside>
        }
    })
}

/// The quantity that the overview is coloured by.
#[component]
fn QuantityExplanation(xray: XrayState) -> impl IntoView {
    shows(move || {
        let about = xray.quantity.get().about();
        view! { <h3>{format!("Colored by {}", about.label)}</h3><p>{about.meaning}</p><p>{about.healthy}</p> }
    })
}

#[cfg(test)]
mod tests {
    use wire::series::LARGEST_ATTENTION_SCORE;

    use super::*;

    #[test]
    fn the_explanations_name_the_limit_of_attention_scores() {
        let limit = format!("above {LARGEST_ATTENTION_SCORE}");
        assert!([OVERVIEW, ATTENTION].iter().all(|explanation| explanation.healthy.contains(&limit)));
    }
}
