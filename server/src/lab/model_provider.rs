//! The provider of the model behind the assistant: its settings, the form of its requests and the streams of its answers. Nothing here knows
//! the lab.
//!
//! - here: the settings; [`secret`]: the key; [`request`]: a conversation as both forms need it; [`anthropic`], [`openai`]: the two forms;
//! - [`sse`]: server-sent events; [`client`]: HTTP; [`error`]: what can fail, without the key.

pub mod anthropic;
pub mod client;
pub mod error;
pub mod openai;
pub mod request;
pub mod secret;
pub mod sse;

use std::fmt;
use std::time::Duration;

use wire::assistant::{ProviderInfo, ProviderKind, TokenUsage};

use secret::Secret;

/// Address of the Messages API.
pub const ANTHROPIC_URL: &str = "https://api.anthropic.com";
/// Tokens of a conversation that are sent at most.
pub const CONTEXT_TOKENS: u32 = 100_000;
/// How long a provider may send nothing: a large local model reads a long conversation before its first token.
const SILENT_SECS: u64 = 300;

/// A provider as the operator configures it.
#[derive(Clone)]
pub struct ModelProvider {
    pub kind: ProviderKind,
    /// Its address without a slash at the end: `https://api.anthropic.com`, `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// Name of the model.
    pub model: String,
    /// Local servers need none.
    pub key: Option<Secret>,
    /// Price of a million input tokens, US dollars.
    pub input_price: Option<f64>,
    /// Price of a million output tokens, US dollars.
    pub output_price: Option<f64>,
    /// Tokens of a conversation that are sent at most; the oldest answers of tools are left out beyond it.
    pub context_tokens: u32,
    /// Longest time without a byte of its answer.
    pub silent: Duration,
}

impl ModelProvider {
    /// A provider without key and prices.
    pub fn new(kind: ProviderKind, url: String, model: String) -> Self {
        let silent = Duration::from_secs(SILENT_SECS);
        let context_tokens = CONTEXT_TOKENS;
        Self { kind, url, model, key: None, input_price: None, output_price: None, context_tokens, silent }
    }

    /// The host of its address, with the port.
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Its description without the key.
    pub fn info(&self) -> ProviderInfo {
        ProviderInfo {
            kind: self.kind,
            host: self.host().to_owned(),
            model: self.model.clone(),
            input_price: self.input_price,
            output_price: self.output_price,
        }
    }

    /// Tokens with their price, if it is configured.
    pub fn usage(&self, input_tokens: u64, output_tokens: u64) -> TokenUsage {
        let prices = self.input_price.zip(self.output_price);
        let dollars = prices.map(|(input, output)| (input * input_tokens as f64 + output * output_tokens as f64) / 1e6);
        TokenUsage { input_tokens, output_tokens, dollars }
    }
}

impl fmt::Debug for ModelProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelProvider").field("kind", &self.kind).field("model", &self.model).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_the_host_and_tokens_have_a_price() {
        let url = "http://127.0.0.1:8080/v1".to_owned();
        let mut provider = ModelProvider::new(ProviderKind::Openai, url, "small".into());
        provider.key = Secret::new("sk-very-secret");
        assert_eq!(provider.info().host, "127.0.0.1:8080");
        assert!(!format!("{provider:?}").contains("secret"));
        assert_eq!(provider.usage(1_000_000, 500_000).dollars, None);
        (provider.input_price, provider.output_price) = (Some(3.0), Some(15.0));
        assert_eq!(provider.usage(1_000_000, 500_000).dollars, Some(10.5));
    }
}
