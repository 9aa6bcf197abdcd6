//! Who sends a request, from where. It is among the extensions of each request.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Longest text of a User-Agent header that is kept, characters.
const AGENT_CHARS: usize = 200;

/// The sender of a request; cloning shares the name.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// Address, as a trusted proxy reports it; `None` for a request without a connection, as tests send them.
    pub address: Option<IpAddr>,
    /// What the browser or program calls itself.
    pub agent: String,
    name: Arc<OnceLock<String>>,
}

impl Sender {
    /// A sender who is not known yet.
    pub fn new(address: Option<IpAddr>, agent: &str) -> Self {
        let agent = agent.chars().filter(|letter| !letter.is_control()).take(AGENT_CHARS).collect();
        Self { address, agent, name: Arc::default() }
    }

    /// Notes the name of the person or token.
    pub fn set_name(&self, name: &str) {
        // A request has one sender.
        let _ = self.name.set(name.to_owned());
    }

    /// The name of the person or token; empty where it is not known.
    pub fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    /// The address as text; empty where it is not known.
    pub fn address_text(&self) -> String {
        self.address.map(|address| address.to_canonical().to_string()).unwrap_or_default()
    }
}
