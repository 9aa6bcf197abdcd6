//! `kindling token`: tokens and sign-in links from the command line, whether or not a server has the folder open.

use std::path::Path;

use clap::{Args, ValueEnum};
use store::{Store, StoreError};
use wire::access::{Role, TokenKind};

use super::data::{DataArgs, UnusedFolder};
use crate::auth::tokens::{DAY_MS, MAX_DAYS, default_days};
use crate::lab::settings::DEFAULT_LISTEN;
use crate::live::clock::now_ms;
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  Print a link that signs one browser in as admin, once:
    kindling token --sign-in
  Print a link for a student who may look but not change anything:
    kindling token --sign-in --role view --name ada
  Create a token for a script, valid for a week:
    kindling token --role steer --name nightly --days 7";

/// Creates an API token, or a sign-in link that works once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TokenArgs {
    /// What the token allows [default: steer, or admin with --sign-in]
    #[arg(long, value_enum)]
    role: Option<RoleArg>,
    /// Name shown in the journal as the author of commands with this token [default: the role]
    #[arg(long)]
    name: Option<String>,
    /// Days until it expires [default: 90, or 1 with --sign-in]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    days: Option<u32>,
    /// Print a sign-in link for one browser instead of an API token
    #[arg(long)]
    sign_in: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// A [`Role`], as the command line spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleArg {
    /// Read everything
    View,
    /// Also start, steer and delete runs, and add datasets
    Steer,
    /// Also manage tokens and delete datasets
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::View => Self::View,
            RoleArg::Steer => Self::Steer,
            RoleArg::Admin => Self::Admin,
        }
    }
}

/// Errors of `kindling token`.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no lab whose token it could be.
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token or link, and a sentence about it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) text: String,
    pub(super) about: String,
}

impl TokenArgs {
    /// Prints the token or link on standard output, and what it is on standard error.
    ///
    /// # Errors
    /// There is no lab in the folder, or the store fails.
    pub async fn run(self) -> Result<(), TokenError> {
        let Made { text, about } = self.make().await?;
        println!("{text}");
        eprintln!("{about}");
        Ok(())
    }

    pub(super) async fn make(self) -> Result<Made, TokenError> {
        let role = self.role.map_or(if self.sign_in { Role::Admin } else { Role::Steer }, Role::from);
        let folder = self.data.used()?;
        let days = self.days.unwrap_or_else(|| default_days(self.sign_in));
        let kind = if self.sign_in { TokenKind::SignIn } else { TokenKind::Api };
        let name = self.name.unwrap_or_else(|| role.name().to_owned());
        let store = Store::open_access(folder).await?;
        let token = store.add_token(&name, role, kind, Some(now_ms() + i64::from(days) * DAY_MS)).await?;
        let (role, plural) = (role.name(), if days == 1 { "" } else { "s" });
        Ok(match kind {
            TokenKind::SignIn => Made {
                text: link(folder, &token),
                about: format!("Signs in once as {name:?} (role {role}). Expires in {days} day{plural}."),
            },
            _ => Made {
                text: token,
                about: format!(
                    "API token of {name:?} (role {role}). Expires in {days} day{plural}. Send it in the header Authorization: Bearer."
                ),
            },
        })
    }
}

fn link(folder: &Path, token: &str) -> String {
    let url = local::read_browser_address(folder).unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
    format!("{url}/signin?token={token}")
}
