//! What the first message will send, and to whom.

use leptos::prelude::*;
use wire::assistant::{AssistantInfo, PageContext, ProviderInfo, ProviderKind};
use wire::number::counted;

use super::state::Assistant;
use crate::components::{says, shows};

#[component]
pub(super) fn Sent(assistant: Assistant) -> impl IntoView {
    let content = move || {
        match &*assistant.info.read() {
        Some(Ok(AssistantInfo { provider: Some(provider), tools, protected })) => {
            let acts = tools.iter().filter(|tool| tool.acts).count();
            let names: Vec<String> = tools.iter().map(|tool| tool.name.clone()).collect();
            let context = says(move || in_words(&assistant.context()));
            view! {
                <section class="stack" aria-label="What is sent">
                    <h3>"What a message sends"</h3>
                    <dl class="assistant-sent">
                        <div><dt>"To"</dt><dd class="wrap">{format!("{} ({})", provider.host, interface(provider))}</dd></div>
                        <div><dt>"Model"</dt><dd class="wrap">{provider.model.clone()}</dd></div>
                        <div><dt>"Price"</dt><dd>{price(provider)}</dd></div>
                        <div><dt>"This page"</dt><dd class="wrap">{context}</dd></div>
                        <div>
                            <dt>"Tools"</dt>
                            <dd>
                                <details>
                                    <summary>{format!(
                                        "{}, whose answers are sent; {acts} change something and wait for you",
                                        counted(tools.len() as u64, "tool"),
                                    )}</summary>
                                    <p class="small wrap">{names.join(", ")}</p>
                                </details>
                            </dd>
                        </div>
                        <div><dt>"Never sent"</dt><dd class="wrap">{never(protected)}</dd></div>
                    </dl>
                </section>
            }
            .into_any()
        }
        _ => view! {
            <p class="dim">
                "Choose a question below, or write one of them. Questions about a run are offered on its page, and questions \
                 about two runs on the Compare page."
            </p>
        }
        .into_any(),
    }
    };
    shows(content)
}

fn interface(provider: &ProviderInfo) -> &'static str {
    match provider.kind {
        ProviderKind::Anthropic => "Messages API",
        ProviderKind::Openai => "chat completions",
    }
}

fn price(provider: &ProviderInfo) -> String {
    match (provider.input_price, provider.output_price) {
        (Some(input), Some(output)) => format!("${input} input, ${output} output per million tokens"),
        _ => "not configured".to_owned(),
    }
}

fn in_words(context: &PageContext) -> String {
    let runs: Vec<String> = context.runs.iter().map(ToString::to_string).collect();
    let about = if runs.is_empty() { String::new() } else { format!(", runs {}", runs.join(", ")) };
    let step = context.step.map(|step| format!(", step {step}")).unwrap_or_default();
    format!("{}{about}{step}", context.page)
}

fn never(protected: &[String]) -> String {
    match protected.is_empty() {
        true => "Keys of the server. No dataset is protected; the Data page protects one.".to_owned(),
        false => format!("Keys of the server, and the text of {}", protected.join(", ")),
    }
}
