//! Passwords of accounts: signing in with one, setting one's own, and resetting a forgotten one.

use axum::http::StatusCode;
use store::Identity;
use wire::access::person::NewPassword;
use wire::access::session::PasswordSignIn;
use wire::access::{CreatedToken, TokenKind};

use crate::auth::not_a_program;
use crate::auth::tokens::{DAY_MS, default_days, view};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::live::access_changes::Concerned;
use crate::live::clock::now_ms;

/// Lengths of a password, characters.
const SHORTEST: usize = 10;
const LONGEST: usize = 200;

/// Checks the length of a new password.
///
/// # Errors
/// 422.
pub fn checked_password(password: &str) -> Result<(), ApiError> {
    let length = password.chars().count();
    if (SHORTEST..=LONGEST).contains(&length) {
        return Ok(());
    }
    let message = format!("the password has {length} characters; it must have {SHORTEST} to {LONGEST}");
    Err(ApiError::invalid("password_invalid", message).field("password"))
}

/// Signs in with a name or e-mail address and a password: the text of a session, and who it is. An unknown name takes as long as a wrong
/// password, and has the same answer.
///
/// # Errors
/// 401 for a wrong name or password, 429 after many of them; an error of the store.
pub async fn sign_in(lab: &Lab, sender: &Sender, wanted: PasswordSignIn) -> Result<(String, Identity), ApiError> {
    let (address, name) = (sender.address, wanted.name.trim());
    let (person, stored) = lab.store().person_of_login(name).await?.unzip();
    let tried = lab.throttle.check(address, Some(name))?;
    // A longer text is no password; hashing it would only take time.
    let password = wanted.password.chars().take(LONGEST + 1).collect();
    let is_right = tried.end(lab.passwords.verify(password, stored.flatten())).await?;
    let Some(person) = person.filter(|_| is_right) else {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the name or the password is wrong")
            .hint("an admin can reset a forgotten password"));
    };
    Ok(lab.store().open_session(person).await?)
}

/// Sets the password of one's own account. All other sessions of the account end, and links that reset its password.
///
/// # Errors
/// 403 for a wrong present password, 409 without an account or without a session, 422 for an invalid password, 429 after many failures; an
/// error of the store.
pub async fn set(lab: &Lab, own: &Identity, sender: &Sender, new: NewPassword) -> Result<(), ApiError> {
    let person = own_account(own)?;
    checked_password(&new.password)?;
    if let Some(stored) = lab.store().password_of(person).await? {
        let tried = lab.throttle.check(sender.address, Some(&own.name))?;
        if !tried.end(lab.passwords.verify(new.present.unwrap_or_default(), Some(stored))).await? {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "password_wrong", "the current password is wrong")
                .field("present"));
        }
    }
    let password = lab.passwords.hash(new.password).await?;
    lab.store().set_password(person, &password, own.token_id).await?;
    lab.access.announce(Concerned::Person(person));
    tracing::info!("{} has a new password", own.name);
    Ok(())
}

/// Takes the password of a person away, who has forgotten it, and ends their sessions and earlier links. The sign-in link that is created lets them in once, and
/// they set another password then.
///
/// # Errors
/// 404 for an unknown person, 409 for a person's token of a program; an error of the store.
pub async fn reset(lab: &Lab, own: &Identity, person: i64) -> Result<CreatedToken, ApiError> {
    not_a_program(own)?;
    let expires_ms = Some(now_ms() + i64::from(default_days(true)) * DAY_MS);
    let (text, info) = lab.store().reset_password(person, expires_ms, Some(own.token_id)).await?;
    lab.access.announce(Concerned::Person(person));
    tracing::info!("{} reset the password of {:?}", own.name, info.name);
    Ok(CreatedToken { token: view(info, own.token_id), text })
}

/// The account of the sender, who is signed in with a browser. A token of a program may be limited, so that it may not change the account.
///
/// # Errors
/// 409 for tokens of programs and of the lab.
pub fn own_account(own: &Identity) -> Result<i64, ApiError> {
    let refused = |code: &str, message: &str, hint: &str| Err(ApiError::conflict(code, message).hint(hint));
    match (own.person, own.kind) {
        (Some(person), TokenKind::Session) => Ok(person),
        (Some(_), _) => refused(
            "session_needed",
            "a personal API token cannot change the account of its owner",
            "sign in with a browser",
        ),
        (None, _) => refused(
            "no_account",
            "the request was made with a token of the lab, which belongs to no person",
            "an admin can invite people, who then have accounts",
        ),
    }
}
