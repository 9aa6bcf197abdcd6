//! `kindling serve`: the arguments of a server.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use openidconnect::url::ParseError;
use openidconnect::{ClientId, ClientSecret, IssuerUrl};
use wire::access::person::LabRole;
use wire::assistant::ProviderKind;
use wire::data::hub::HubToken;

use super::data::DataArgs;
use super::memory;
use crate::api::server;
use crate::data::hub::{DEFAULT_URL, Hub};
use crate::lab::alerting::{AlertSettings, DEFAULT_NTFY, SmtpSecurity, SmtpSettings};
use crate::lab::certificate::CertificateSource;
use crate::lab::evaluator::{self, Evaluator};
use crate::lab::model_provider::secret::{Secret, SecretError};
use crate::lab::model_provider::{ANTHROPIC_URL, CONTEXT_TOKENS, ModelProvider};
use crate::lab::network::Network;
use crate::lab::oidc::ProviderSettings;
use crate::lab::open::ServeError;
use crate::lab::public_url::PublicUrl;
use crate::lab::settings::{self, DEFAULT_LISTEN, QUEUE_LIMIT, Settings, WORKER_TIMEOUT_SECS};

const EXAMPLES: &str = "\
Examples:
  Serve this machine only:
    kindling serve
  Serve the folder my-lab on another port:
    kindling serve --data my-lab --listen 8090
  Serve other machines too, under a name of your own:
    kindling serve --listen 0.0.0.0:7878 --allow-host lab.example.org
  The same, encrypted, without a proxy:
    kindling serve --listen 0.0.0.0:7878 --allow-host lab.example.org --tls
  Serve behind a reverse proxy on this machine, under a path:
    kindling serve --public-url https://example.org/lab/ --trusted-proxy 127.0.0.1
  Score checkpoints by a program of this machine too:
    kindling serve --evaluator my-test=/opt/my-test.sh
  Send alerts as e-mails by an SMTP server on this machine:
    kindling serve --smtp-host localhost --smtp-security none --smtp-from lab@example.org
  Let a local model answer in the assistant:
    kindling serve --assistant-kind openai --assistant-url http://127.0.0.1:8080/v1 --assistant-model qwen3";

/// Environment variable with an access token of the hub, as its own tools read it.
const HUB_TOKEN: &str = "HF_TOKEN";
/// Address of a local model, as llama.cpp serves it.
const LOCAL_MODEL_URL: &str = "http://127.0.0.1:8080/v1";
/// Environment variables with the key of the assistant's provider; the second one only for Anthropic, as its own tools read it.
const ASSISTANT_KEY: &str = "KINDLING_ASSISTANT_KEY";
const ANTHROPIC_KEY: &str = "ANTHROPIC_API_KEY";

/// A text that is not the address of a server.
#[derive(Debug, thiserror::Error)]
#[error("expected an address such as {example}")]
pub struct ServerUrlError {
    example: &'static str,
}

/// A text that is not a price.
#[derive(Debug, thiserror::Error)]
#[error("expected a price in US dollars from 0 to 1000000, such as 3.0")]
pub struct PriceError;

/// The role in the whole lab of somebody new.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FirstRole {
    None,
    View,
    Steer,
}

impl From<FirstRole> for LabRole {
    fn from(role: FirstRole) -> Self {
        match role {
            FirstRole::None => Self::None,
            FirstRole::View => Self::View,
            FirstRole::Steer => Self::Steer,
        }
    }
}

/// Serves the lab in the browser and trains on this machine's devices; the first line that it prints is the address to open.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Address and port to listen on; a port alone listens on this machine only
    #[arg(long, value_name = "ADDRESS", env = "KINDLING_LISTEN", default_value = DEFAULT_LISTEN, value_parser = settings::parse_listen)]
    listen: SocketAddr,
    /// Speak TLS with a self-signed certificate, which is kept in the lab's folder; its fingerprint is printed
    #[arg(long, conflicts_with = "tls_cert")]
    tls: bool,
    /// Speak TLS with this certificate (PEM, with its intermediate certificates) [default: none]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM) [default: none]
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Host name, besides this machine's own, under which browsers may open the server; may be given several times [default: none]
    #[arg(long = "allow-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
    /// Address that browsers open if a reverse proxy is in front of the server, with the path of the lab if it has one; the proxy may
    /// remove that path or keep it [default: the address that the server listens on]
    #[arg(long, value_name = "URL", env = "KINDLING_PUBLIC_URL")]
    public_url: Option<PublicUrl>,
    /// Address or range (CIDR) of a proxy whose X-Forwarded-For, -Host, -Proto and -Prefix headers are trusted; may be given several times
    /// [default: none]
    #[arg(long = "trusted-proxy", value_name = "ADDRESS")]
    trusted_proxies: Vec<Network>,
    /// Address of the Hugging Face hub, or of a mirror, that models and datasets are imported from
    #[arg(long, value_name = "URL", env = "KINDLING_HUB_URL", default_value = DEFAULT_URL, value_parser = parse_hub_url)]
    hub_url: String,
    /// File with an access token of the hub, for imports without a token [default: the environment variable HF_TOKEN, if it is set]
    #[arg(long, value_name = "FILE", value_parser = read_token)]
    hub_token_file: Option<HubToken>,
    /// Issuer of OpenID Connect that people sign in with; it redirects to /oidc/callback of this lab [default: none]
    #[arg(long, value_name = "URL", value_parser = parse_issuer, requires = "oidc_client_id", requires = "oidc_client_secret_file")]
    oidc_issuer: Option<IssuerUrl>,
    /// Id of this lab at the issuer [default: none]
    #[arg(long, value_name = "ID", requires = "oidc_issuer")]
    oidc_client_id: Option<String>,
    /// File with the secret of this lab at the issuer [default: none]
    #[arg(long, value_name = "FILE", value_parser = read_secret, requires = "oidc_issuer")]
    oidc_client_secret_file: Option<ClientSecret>,
    /// Name of the issuer on the page
    #[arg(long, value_name = "LABEL", default_value = "OpenID Connect", requires = "oidc_issuer")]
    oidc_name: String,
    /// Role in the whole lab of people who sign in with the issuer for the first time; with none, they can access only the projects that
    /// they are added to
    #[arg(long, value_name = "ROLE", default_value = "none", requires = "oidc_issuer")]
    oidc_role: FirstRole,
    /// SMTP server that sends alerts as e-mails [default: none]
    #[arg(long, value_name = "HOST", requires = "smtp_from")]
    smtp_host: Option<String>,
    /// Port of the SMTP server [default: 587 with starttls, 465 with tls, 25 with none]
    #[arg(long, value_name = "PORT", requires = "smtp_host")]
    smtp_port: Option<u16>,
    /// How the connection to the SMTP server is encrypted
    #[arg(long, value_name = "HOW", default_value = "starttls", requires = "smtp_host")]
    smtp_security: SmtpSecurity,
    /// Name to sign in with at the SMTP server [default: none]
    #[arg(long, value_name = "NAME", requires = "smtp_host", requires = "smtp_password_file")]
    smtp_user: Option<String>,
    /// File with the password for the SMTP server [default: none]
    #[arg(long, value_name = "FILE", value_parser = read_password, requires = "smtp_user")]
    smtp_password_file: Option<SmtpPassword>,
    /// Sender of the e-mails, such as "Kindling <lab@example.org>" [default: none]
    #[arg(long, value_name = "ADDRESS", requires = "smtp_host")]
    smtp_from: Option<Mailbox>,
    /// Server of the ntfy channels that name no server
    #[arg(long, value_name = "URL", env = "KINDLING_NTFY_URL", default_value = DEFAULT_NTFY, value_parser = parse_ntfy_url)]
    ntfy_url: String,
    /// Model that answers in the assistant, by its name at the provider; without it, no text leaves the lab, and rules, fits and journal answer
    /// [default: none]
    #[arg(long, value_name = "NAME", env = "KINDLING_ASSISTANT_MODEL")]
    assistant_model: Option<String>,
    /// Programming interface of the provider: anthropic (Messages API), or openai (chat completions: llama.cpp, vLLM, Ollama)
    #[arg(long, value_name = "KIND", env = "KINDLING_ASSISTANT_KIND", default_value = "anthropic", value_parser = parse_kind)]
    assistant_kind: ProviderKind,
    /// Address of the provider; with openai it ends before /chat/completions [default: https://api.anthropic.com with anthropic,
    /// http://127.0.0.1:8080/v1 with openai]
    #[arg(long, value_name = "URL", env = "KINDLING_ASSISTANT_URL", value_parser = parse_assistant_url)]
    assistant_url: Option<String>,
    /// File with the key of the provider, which only its owner can read (mode 0600) [default: the environment variable
    /// KINDLING_ASSISTANT_KEY, or ANTHROPIC_API_KEY with anthropic]
    #[arg(long, value_name = "FILE", env = "KINDLING_ASSISTANT_KEY_FILE", value_parser = read_key)]
    assistant_key_file: Option<KeyFile>,
    /// Tokens of a conversation that are sent to the model at most; beyond it the oldest answers of tools are left out
    #[arg(long, value_name = "TOKENS", env = "KINDLING_ASSISTANT_CONTEXT", default_value_t = CONTEXT_TOKENS, value_parser = clap::value_parser!(u32).range(4_000..=2_000_000))]
    assistant_context: u32,
    /// Price of a million input tokens, US dollars, to show the cost of conversations [default: none]
    #[arg(long, value_name = "DOLLARS", env = "KINDLING_ASSISTANT_INPUT_PRICE", value_parser = parse_price)]
    assistant_input_price: Option<f64>,
    /// Price of a million output tokens, US dollars [default: none]
    #[arg(long, value_name = "DOLLARS", env = "KINDLING_ASSISTANT_OUTPUT_PRICE", value_parser = parse_price)]
    assistant_output_price: Option<f64>,
    /// Program on this machine that scores checkpoints as the task NAME: it receives the folder of the exported checkpoint (as `kindling
    /// export hf` writes it) and prints a JSON object of numbers; it runs as the user of the server, for at most an hour; may be given
    /// several times [default: none]
    #[arg(long = "evaluator", value_name = "NAME=PROGRAM")]
    evaluators: Vec<Evaluator>,
    /// Start no workers on this machine's devices
    #[arg(long)]
    no_workers: bool,
    /// Maximum number of queued runs per device
    #[arg(long, value_name = "N", default_value_t = QUEUE_LIMIT)]
    queue_limit: u64,
    /// Seconds that a worker on another machine may be unreachable before its run continues on another device
    #[arg(long, value_name = "SECS", default_value_t = WORKER_TIMEOUT_SECS, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    worker_timeout: u64,
}

impl ServeArgs {
    /// Serves until a signal stops it.
    ///
    /// # Errors
    /// The folder or the address cannot be used; two evaluators have one name.
    pub async fn run(self) -> Result<(), ServeError> {
        memory::keep_private();
        evaluator::check_names(&self.evaluators)?;
        server::serve(self.settings()).await
    }

    pub(super) fn settings(self) -> Settings {
        let in_environment = || std::env::var(HUB_TOKEN).ok().filter(|token| !token.trim().is_empty()).map(HubToken);
        let certificate = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(CertificateSource::Files { certificate, key }),
            _ => self.tls.then_some(CertificateSource::SelfSigned),
        };
        let provider = match (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret_file) {
            (Some(issuer), Some(id), Some(client_secret)) => Some(ProviderSettings {
                issuer,
                client_id: ClientId::new(id),
                client_secret,
                label: self.oidc_name,
                role: self.oidc_role.into(),
            }),
            _ => None,
        };
        let kind = self.assistant_kind;
        let key = self.assistant_key_file.map(|KeyFile(key)| key).or_else(|| key_in_environment(kind));
        let url = self.assistant_url.unwrap_or_else(|| usual_url(kind).to_owned());
        let assistant = self.assistant_model.filter(|model| !model.trim().is_empty()).map(|model| ModelProvider {
            key,
            input_price: self.assistant_input_price,
            output_price: self.assistant_output_price,
            context_tokens: self.assistant_context,
            ..ModelProvider::new(kind, url, model)
        });
        let credentials = self.smtp_user.zip(self.smtp_password_file);
        let credentials = credentials.map(|(user, SmtpPassword(password))| Credentials::new(user, password));
        let security = self.smtp_security;
        let smtp = self.smtp_host.zip(self.smtp_from).map(|(host, from)| {
            let port = self.smtp_port.unwrap_or_else(|| security.port());
            SmtpSettings { host, port, security, credentials, from }
        });
        Settings {
            alerts: AlertSettings { smtp, ntfy: self.ntfy_url, ..AlertSettings::default() },
            certificate,
            allowed_hosts: self.allowed_hosts,
            public_url: self.public_url,
            trusted_proxies: self.trusted_proxies,
            hub: Hub { url: self.hub_url, token: self.hub_token_file.or_else(in_environment) },
            provider,
            assistant,
            evaluators: self.evaluators,
            starts_workers: !self.no_workers,
            queue_limit: self.queue_limit,
            worker_timeout: Duration::from_secs(self.worker_timeout),
            ..Settings::new(self.data.folder, self.listen)
        }
    }
}

fn parse_hub_url(text: &str) -> Result<String, ServerUrlError> {
    parse_server_url(text, DEFAULT_URL)
}

fn parse_ntfy_url(text: &str) -> Result<String, ServerUrlError> {
    parse_server_url(text, DEFAULT_NTFY)
}

/// Address of a provider that is not named.
fn usual_url(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Anthropic => ANTHROPIC_URL,
        ProviderKind::Openai => LOCAL_MODEL_URL,
    }
}

fn key_in_environment(kind: ProviderKind) -> Option<Secret> {
    let names = [Some(ASSISTANT_KEY), (kind == ProviderKind::Anthropic).then_some(ANTHROPIC_KEY)];
    names.into_iter().flatten().find_map(|name| Secret::new(&std::env::var(name).ok()?))
}

fn parse_kind(text: &str) -> Result<ProviderKind, wire::ParseError> {
    text.parse()
}

fn parse_assistant_url(text: &str) -> Result<String, ServerUrlError> {
    parse_server_url(text, LOCAL_MODEL_URL)
}

/// A key, which messages do not show.
#[derive(Clone)]
struct KeyFile(Secret);

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile")
    }
}

fn read_key(path: &str) -> Result<KeyFile, SecretError> {
    Secret::read(Path::new(path)).map(KeyFile)
}

fn parse_price(text: &str) -> Result<f64, PriceError> {
    text.parse().ok().filter(|price: &f64| (0.0..=1e6).contains(price)).ok_or(PriceError)
}

fn parse_server_url(text: &str, example: &'static str) -> Result<String, ServerUrlError> {
    let plain = text.trim().trim_end_matches('/');
    let host =
        plain.strip_prefix("https://").or_else(|| plain.strip_prefix("http://")).ok_or(ServerUrlError { example })?;
    match host.is_empty() || host.contains(['?', '#', '@']) || host.chars().any(char::is_whitespace) {
        true => Err(ServerUrlError { example }),
        false => Ok(plain.to_owned()),
    }
}

/// A password, which messages do not show.
#[derive(Clone)]
struct SmtpPassword(String);

impl fmt::Debug for SmtpPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpPassword")
    }
}

fn read_password(path: &str) -> io::Result<SmtpPassword> {
    std::fs::read_to_string(path).map(|text| SmtpPassword(text.trim().to_owned()))
}

fn parse_issuer(text: &str) -> Result<IssuerUrl, ParseError> {
    IssuerUrl::new(text.to_owned())
}

fn read_secret(path: &str) -> io::Result<ClientSecret> {
    std::fs::read_to_string(path).map(|text| ClientSecret::new(text.trim().to_owned()))
}

fn read_token(path: &str) -> io::Result<HubToken> {
    std::fs::read_to_string(path).map(|text| HubToken(text.trim().to_owned()))
}
