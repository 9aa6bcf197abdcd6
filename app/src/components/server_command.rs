//! A command to run on the machine of the server, with the data folder of this lab.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::net::api;

/// The command, completed with `--data` and the folder once the server has named it.
#[component]
pub(crate) fn ServerCommand(
    /// The command without `--data`: "kindling token --sign-in".
    command: &'static str,
) -> impl IntoView {
    let folder = RwSignal::new(None::<String>);
    spawn_local(async move {
        // Without an answer the command is shown as it is.
        if let Ok(info) = api::sign_in_info().await {
            folder.try_set(info.data_folder);
        }
    });
    let text = move || match &*folder.read() {
        Some(folder) => format!("{command} --data {}", quoted(folder)),
        None => command.to_owned(),
    };
    view! { <pre class="command" title="Run this command on the server's machine">{text}</pre> }
}

/// A path as an argument: in quotation marks if a shell would split or expand it.
fn quoted(path: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "/\\:._-".contains(letter);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false if path.contains(['"', '$', '`', '!']) => format!("'{}'", path.replace('\'', "'\\''")),
        false => format!("\"{path}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_path_is_one_argument() {
        for (path, expected) in [
            ("/srv/lab", "/srv/lab"),
            ("C:\\labs\\one", "C:\\labs\\one"),
            ("/srv/my lab", "\"/srv/my lab\""),
            ("/srv/ada's $lab", "'/srv/ada'\\''s $lab'"),
            ("/srv/a&b", "\"/srv/a&b\""),
        ] {
            assert_eq!(quoted(path), expected);
        }
    }
}
