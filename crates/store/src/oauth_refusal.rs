//! Refusals of OAuth clients, apart from the store, whose error has them.

/// Clients of a lab.
pub(crate) const MAX_CLIENTS: i64 = 1_000;
/// Clients that register from one network in an hour.
pub(crate) const MAX_PER_HOUR: i64 = 20;

/// Reasons for which a program gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OAuthRefusal {
    /// The text is no code, or one that was issued long ago.
    #[error("the code is unknown")]
    UnknownCode,
    /// It was presented before. The token that it was exchanged for has ended.
    #[error("the code was used before")]
    UsedCode,
    #[error("the code has expired")]
    ExpiredCode,
    /// The code or the refresh token belongs to another client.
    #[error("it was issued to another client")]
    OtherClient,
    #[error("the redirect address is not the one of the authorization request")]
    OtherRedirect,
    #[error("the code verifier is not the one of the authorization request")]
    WrongVerifier,
    #[error("the resource is not the one of the authorization request")]
    OtherResource,
    /// The text is no refresh token, or its token was revoked or has expired.
    #[error("the refresh token is unknown, revoked or expired")]
    UnknownRefresh,
    /// It was used before. Its token has ended.
    #[error("the refresh token was used before, so the access of the client has ended")]
    UsedRefresh,
    #[error("too many clients have registered from this network; at most {} can in an hour", MAX_PER_HOUR)]
    TooManyRegistrations,
    #[error("the lab has {} clients with tokens, which is the most", MAX_CLIENTS)]
    TooManyClients,
}
