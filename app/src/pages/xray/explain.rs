//! "What am I looking at?", for every view: a plain paragraph, the formula, and what healthy looks like.

use leptos::prelude::*;

use super::Inside;
use crate::parts::shows;
use crate::xray::place::Place;

struct Words {
    text: &'static str,
    formula: &'static str,
    healthy: &'static str,
}

fn words(place: &Place) -> Words {
    let (text, formula, healthy) = match place {
        Place::Map => (
            "The whole model, in the order in which it works. Each token becomes a list of numbers (embedding). Every block then adds to it twice: attention brings in what stands at earlier tokens, the MLP works on each token by itself. After the last norm the head turns the numbers into a probability for every possible next token. Press a part to go inside.",
            "x ← x + attention(norm(x));  x ← x + MLP(norm(x));  p = softmax(head(norm(x)))",
            "No part glows. Colours change quickly in the first steps and slowly later.",
        ),
        Place::Attention { .. } => (
            "Each head asks, for every token, which earlier tokens matter, and reads from them. A row is the token that reads, a column the token that is read; bright is much, and what is faint is drawn brighter than it is. A diagonal just under the edge reads the token before. A lower stripe that begins where a word occurs again is an induction head: it looks up what came next the last time.",
            "A = softmax(q·kᵀ / √d_head), earlier tokens only; every row sums to 1",
            "At step 0 all heads look at everything alike. Later they differ: some sharp, some broad. All heads alike late in training, or logits above 50, are a bad sign.",
        ),
        Place::Lens => (
            "What the model would say if it stopped thinking after each block: the numbers at that depth go straight to the last norm and the head. Downwards one sees guesses turn into the answer; a line marks from where on the right token is the first guess.",
            "p(depth) = softmax(head(norm(x after that depth)))",
            "Later depths do better. Answers that appear only at the last block want all the depth there is; if all appear early, the model is deeper than the text needs.",
        ),
        Place::Mlp { unit: None, .. } => (
            "The MLP widens each token's numbers into many units, lets each fire or not, and adds the result back. A row is a unit, a column a token; the strongest come first. Press a row to see what else makes that unit fire.",
            "h = act(x·W_up), act = GELU or SiLU-gated;  out = h·W_down",
            "Most units silent on most tokens, each loud on a few. Many dead units are lost width; a high saturated share means that inputs have grown too large.",
        ),
        Place::Mlp { .. } => (
            "The places in held-out text where this unit fires most. Read a few of them: what they share is what the unit has come to stand for. Many units stand for several things at once.",
            "activation = act(x·W_up)[unit]",
            "A few clear contexts. The same value everywhere means it does no work.",
        ),
        Place::Weights { .. } => (
            "Every matrix in little: orange above zero, blue below, paper at zero; under it how many values have which size. Press one to see it large.",
            "tile = mean of the values in it;  stable rank = |W|²_F / |W|²₂",
            "At the start pure noise. Structure (stripes, a few strong rows) comes with learning. A stable rank that collapses to 1 means that one direction has taken over.",
        ),
        Place::Matrix { .. } => (
            "One parameter. The wheel or + and − zoom down to single values, a drag or the arrows move. Rows are inputs, columns outputs. The gradient says where the loss pulls on this text; the update says what the optimizer makes of it.",
            "y = x·W;  update = rate · m̂ / (√v̂ + ε)",
            "Gradients spread over the matrix. A single bright column in the gradient is one output that carries the surprise.",
        ),
        Place::Embedding => (
            "Every token is a list of numbers; here they are, on the plane along which they differ most. Tokens that behave alike come to lie together. Trails show how they came. Each step's picture is turned onto the one before it, so that only real movement is seen.",
            "x, y = first two principal components;  near = largest cosine in all dimensions",
            "A round cloud at the start, then groups: names, verbs, marks. On modular arithmetic: rings.",
        ),
        Place::Hands => (
            "What is a part good for? Take it away and see what is missed. Its output is multiplied by your factor on a copy of the weights; the text is read again with and without, and both go on writing, likeliest token each time. Applied to the run, the factor is written into the weights once, and training goes on from there.",
            "output ← factor · output;  Δ = loss changed − loss as it is",
            "Most single heads and units matter little; a few matter much. If silencing a block lowers the loss, that block has not learned yet.",
        ),
        Place::Batch { .. } => (
            "What the model was fed at that step, painted by how surprised today's weights are by each token. A spike in the loss often is a strange text: a table, another language, a broken file. Beside it, the parameters that this batch's gradient moves most.",
            "loss of a token = −ln p(token | those before it)",
            "Rows of about the same mean. One far above the rest, with strange text, explains a spike.",
        ),
        Place::Emergence => (
            "Abilities do not come evenly. Here each head's score is drawn over the kept steps: an induction head often forms within a short stretch, and the loss drops with it. On modular arithmetic the numbers' embedding falls into a few frequencies when the model goes from memory to rule (grokking).",
            "induction = mean weight on the token after the last time this token was seen",
            "On repeating text one head of the second block or later rises above one half and stays there.",
        ),
    };
    Words { text, formula, healthy }
}

/// The panel.
#[component]
pub(super) fn Explain() -> impl IntoView {
    let inside = expect_context::<Inside>();
    shows(move || {
        let Words { text, formula, healthy } = words(&inside.place.read());
        view! {
            <aside class="sheet padded explain" aria-labelledby="explain-title">
                <h2 id="explain-title">"What am I looking at?"</h2>
                <p>{text}</p>
                <h3>"Formula"</h3>
                <p class="formula mono">{formula}</p>
                <h3>"What healthy looks like"</h3>
                <p>{healthy}</p>
                {(*inside.place.read() == Place::Map).then(|| view! { <Lit /> })}
            </aside>
        }
    })
}

/// What the map is lit by.
#[component]
fn Lit() -> impl IntoView {
    let inside = expect_context::<Inside>();
    shows(move || {
        let about = inside.light.get().about();
        view! { <h3>{format!("Lit by {}", about.word)}</h3><p>{about.meaning}</p><p>{about.healthy}</p> }
    })
}
