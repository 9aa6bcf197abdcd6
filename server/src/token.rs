//! Tokens from the command line, while a server has the folder or while none does.

use std::path::PathBuf;

use store::{Role, Store, StoreError, TokenKind};

use crate::auth::role_name;
use crate::clock::now_ms;
use crate::settings::DEFAULT_LISTEN;
use crate::workers;

/// A day, milliseconds.
pub const DAY_MS: i64 = 24 * 3600 * 1000;
/// For programs, and for signing in.
const DAYS_API: u32 = 90;
const DAYS_SIGN_IN: u32 = 1;

/// How long a token works unless told, days.
pub fn usual_days(is_sign_in: bool) -> u32 {
    if is_sign_in { DAYS_SIGN_IN } else { DAYS_API }
}

/// What token is wanted.
pub struct TokenWish {
    /// How far it reaches.
    pub role: Role,
    /// Whose it is; signs their commands.
    pub name: Option<String>,
    /// How long it works, days.
    pub days: Option<u32>,
    /// A link to sign in with once, rather than a token for programs.
    pub is_sign_in: bool,
    /// The lab's folder.
    pub data: PathBuf,
}

/// Makes the token. The first text goes to standard output, the second beside it.
pub async fn make(wish: TokenWish) -> Result<(String, String), StoreError> {
    let days = wish.days.unwrap_or_else(|| usual_days(wish.is_sign_in));
    let kind = if wish.is_sign_in { TokenKind::SignIn } else { TokenKind::Api };
    let name = wish.name.unwrap_or_else(|| role_name(wish.role).to_owned());
    let store = Store::open_access(&wish.data).await?;
    let token = store.add_token(&name, wish.role, kind, Some(now_ms() + i64::from(days) * DAY_MS)).await?;
    let (role, plural) = (role_name(wish.role), if days == 1 { "" } else { "s" });
    if wish.is_sign_in {
        let url = workers::read_address(&wish.data).unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
        return Ok((
            format!("{url}/signin?token={token}"),
            format!("signs {name:?} in once, as {role}, within {days} day{plural}"),
        ));
    }
    Ok((
        token,
        format!(
            "a token of the role {role} for {name:?}, good for {days} day{plural}; send it as Authorization: Bearer"
        ),
    ))
}
