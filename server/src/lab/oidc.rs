//! Sign-in with OpenID Connect: the authorization code flow with PKCE, state and nonce. What a sign-in needs between the request to the
//! provider and its answer is in memory, bounded, and bound to the browser by a cookie.
//!
//! Here is only the protocol; [`crate::auth::people::provider`] finds or creates the person. Errors are in [`error`], HTTP is in [`client`],
//! what is kept of sign-ins in [`under_way`].

pub mod client;
pub mod error;
mod under_way;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use ureq::Agent;
use wire::access::person::LabRole;

use super::throttle::network;
use client::{agent, send};
pub use error::OidcError;
use under_way::UnderWay;

/// How long a person may take at the provider.
pub const SIGN_IN_WITHIN: Duration = Duration::from_secs(600);
/// How long the addresses and keys of the provider are used before they are read again.
const METADATA_VALID: Duration = Duration::from_secs(300);

/// A provider, as the command line names it.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    pub issuer: IssuerUrl,
    pub client_id: ClientId,
    pub client_secret: ClientSecret,
    /// Its name on the page.
    pub label: String,
    /// Role in the whole lab of somebody who signs in for the first time.
    pub role: LabRole,
}

/// A provider of accounts.
pub struct Provider {
    pub settings: ProviderSettings,
    agent: Agent,
    metadata: Mutex<Option<(Instant, CoreProviderMetadata)>>,
    under_way: UnderWay<SignIn>,
}

/// A sign-in between the request to the provider and its answer.
struct SignIn {
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
    /// Text of the cookie of the browser that began it.
    browser: String,
    back: String,
}

/// A sign-in that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// Text for a cookie of the browser.
    pub browser: String,
}

/// What a provider says about the person who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub issuer: String,
    /// Id of the person at the issuer.
    pub subject: String,
    pub name: String,
    /// Their e-mail address, if the provider has verified it.
    pub email: Option<String>,
    /// Path and query of the page that they came from.
    pub back: String,
}

impl Provider {
    pub fn new(settings: ProviderSettings) -> Self {
        Self { settings, agent: agent(), metadata: Mutex::default(), under_way: UnderWay::default() }
    }

    /// Begins a sign-in of a browser at the address `from`. `redirect` is the address to which the provider sends the browser back, `back` the
    /// page that is shown then.
    ///
    /// # Errors
    /// The provider cannot be reached; the address is not valid.
    pub async fn begin(
        self: Arc<Self>,
        from: Option<IpAddr>,
        redirect: String,
        back: String,
    ) -> Result<Begun, OidcError> {
        blocking(move || self.begin_now(from, redirect, back)).await
    }

    fn begin_now(&self, from: Option<IpAddr>, redirect: String, back: String) -> Result<Begun, OidcError> {
        let redirect = RedirectUrl::new(redirect)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let ProviderSettings { client_id, client_secret, .. } = self.settings.clone();
        let client = CoreClient::from_provider_metadata(self.metadata()?, client_id, Some(client_secret))
            .set_redirect_uri(redirect.clone());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let browser = CsrfToken::new_random().into_secret();
        let sign_in = SignIn { nonce, verifier, redirect, browser: browser.clone(), back };
        self.under_way.keep(state.into_secret(), from.map(network).unwrap_or_default(), sign_in);
        Ok(Begun { url: url.into(), browser })
    }

    /// Ends a sign-in with the answer of the provider. `browser` is the text of the cookie.
    ///
    /// # Errors
    /// The sign-in is unknown, too old or of another browser; the provider cannot be reached or its answer is not valid.
    pub async fn finish(
        self: Arc<Self>,
        state: String,
        code: String,
        browser: Option<String>,
    ) -> Result<Account, OidcError> {
        let sign_in = self.take(&state, browser.as_deref())?;
        blocking(move || self.finish_now(sign_in, code)).await
    }

    /// Ends a sign-in that the provider has refused. False for one that is unknown, too old or of another browser: anybody can make a link to
    /// the answer of a provider, and only the provider knows the state of a sign-in of this browser.
    pub fn refuse(&self, state: &str, browser: Option<&str>) -> bool {
        self.take(state, browser).is_ok()
    }

    fn take(&self, state: &str, browser: Option<&str>) -> Result<SignIn, OidcError> {
        let found = self.under_way.take(state).filter(|found| browser == Some(&*found.browser));
        found.ok_or(OidcError::Unknown)
    }

    fn finish_now(&self, sign_in: SignIn, code: String) -> Result<Account, OidcError> {
        let SignIn { nonce, verifier, redirect, back, browser: _ } = sign_in;
        let ProviderSettings { client_id, client_secret, issuer, .. } = self.settings.clone();
        let client = CoreClient::from_provider_metadata(self.metadata()?, client_id, Some(client_secret))
            .set_redirect_uri(redirect);
        let http = |request: HttpRequest| send(&self.agent, request);
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(OidcError::answer)?
            .set_pkce_verifier(verifier)
            .request(&http)
            .map_err(OidcError::answer)?;
        let id_token = answer.id_token().ok_or(OidcError::NoIdToken)?;
        let claims = id_token.claims(&client.id_token_verifier(), &nonce).map_err(OidcError::answer)?;
        let verified = |email: Option<String>, is_verified: Option<bool>| email.filter(|_| is_verified == Some(true));
        let mut name = [
            claims.preferred_username().map(|name| name.to_string()),
            claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
            claims.email().map(|email| email.to_string()),
        ]
        .into_iter()
        .flatten()
        .next();
        let mut email = verified(claims.email().map(|email| email.to_string()), claims.email_verified());
        if name.is_none()
            && let Ok(request) = client.user_info(answer.access_token().clone(), Some(claims.subject().clone()))
        {
            // Some providers put names only there.
            let more: CoreUserInfoClaims = request.request(&http).map_err(OidcError::answer)?;
            name = [
                more.preferred_username().map(|name| name.to_string()),
                more.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
                more.email().map(|email| email.to_string()),
            ]
            .into_iter()
            .flatten()
            .next();
            email = verified(more.email().map(|email| email.to_string()), more.email_verified());
        }
        let subject = claims.subject().to_string();
        Ok(Account { issuer: issuer.to_string(), name: name.unwrap_or_else(|| subject.clone()), subject, email, back })
    }

    /// The addresses and keys of the provider, read at most five minutes ago.
    fn metadata(&self) -> Result<CoreProviderMetadata, OidcError> {
        // Held while they are read: requests meanwhile get the same ones.
        let mut known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, metadata)) = known.as_ref().filter(|(at, _)| at.elapsed() < METADATA_VALID) {
            return Ok(metadata.clone());
        }
        let http = |request: HttpRequest| send(&self.agent, request);
        let metadata = CoreProviderMetadata::discover(&self.settings.issuer, &http).map_err(OidcError::discovery)?;
        *known = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }
}

/// Runs requests to the provider, which block, on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OidcError> + Send + 'static,
) -> Result<T, OidcError> {
    tokio::task::spawn_blocking(work).await.map_err(OidcError::Aborted)?
}
