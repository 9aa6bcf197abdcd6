//! Signing in with OpenID Connect: the person with the account of the provider, created at their first sign-in.

use store::{Identity, NewPerson, StoreError};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::NAME_CHARS;
use crate::lab::oidc::{Account, Provider};

/// Other names that are tried where somebody has the name already.
const TRIES: u32 = 100;

/// Signs in the person with an account of the provider: the text of a session, and who it is.
///
/// # Errors
/// 403 where an admin has removed the person; an error of the store.
pub async fn sign_in(lab: &Lab, provider: &Provider, account: &Account) -> Result<(String, Identity), ApiError> {
    let known = lab.store().person_of_provider(&account.issuer, &account.subject).await?;
    let person = match known {
        Some(person) => person,
        None => create(lab, provider, account).await?,
    };
    Ok(lab.store().open_session(person).await?)
}

/// Creates a person. The provider's name gives no access to an account that has it already: the new person is called `ada 2` then.
async fn create(lab: &Lab, provider: &Provider, account: &Account) -> Result<i64, ApiError> {
    let name = plain(&account.name);
    let mut new = NewPerson {
        name: name.clone(),
        email: account.email.clone(),
        role: provider.settings.role.into(),
        password: None,
        provider: Some((account.issuer.clone(), account.subject.clone())),
    };
    for number in 2..=TRIES {
        match lab.store().add_person(&new).await {
            Ok(person) => {
                tracing::info!("{:?} has signed in for the first time", person.name);
                return Ok(person.id);
            }
            Err(StoreError::PersonExists { .. }) => new.name = format!("{name} {number}"),
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::PersonExists { name }.into())
}

/// A name on one line, short enough for a number behind it.
fn plain(name: &str) -> String {
    let text: String = name.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match text.trim() {
        "" => "person".to_owned(),
        text => text.chars().take(NAME_CHARS - 4).collect::<String>().trim_end().to_owned(),
    }
}
