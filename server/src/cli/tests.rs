//! What holds for every subcommand: its help, its examples, suggestions, completions. The tests walk clap's tree of commands, so that a
//! new subcommand is covered without a line here.

use clap::error::ErrorKind;
use clap::{Arg, Command, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;

use super::token::TokenError;
use super::*;

/// Every subcommand, also nested and hidden ones, with the words that select it: `export hf`.
fn subcommands() -> Vec<(String, Command)> {
    fn collect(path: &str, command: &Command, found: &mut Vec<(String, Command)>) {
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            let path = format!("{path} {}", subcommand.get_name()).trim().to_owned();
            found.push((path.clone(), subcommand.clone()));
            collect(&path, subcommand, found);
        }
    }
    let mut command = Cli::command();
    command.build();
    let mut found = vec![];
    collect("", &command, &mut found);
    found
}

/// Splits a line as a shell does, as far as examples need it; a redirection ends it.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.take_while(|word| !matches!(word.as_str(), "<" | ">")).collect()
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(words(&format!("kindling {line}")))
}

fn message(line: &str) -> String {
    parse(line).err().unwrap_or_else(|| panic!("{line} was accepted")).to_string()
}

/// The commands in a help's examples, without what stands before `kindling`.
fn examples(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1).map(str::trim);
    let commands = lines.filter_map(|line| match line.split_once("kindling ") {
        Some((before, rest)) if before.is_empty() || before.ends_with("=... ") || before.ends_with('(') => Some(rest),
        _ => None,
    });
    commands.map(|rest| rest.trim_end_matches(')')).collect()
}

#[test]
fn the_commands_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_help_has_a_sentence_defaults_and_examples_that_parse() {
    let all = subcommands();
    assert!(all.len() >= 14, "{all:?}");
    for (path, mut command) in all {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let is_sentence = about.starts_with(char::is_uppercase) && about.split(' ').count() >= 4;
        assert!(is_sentence, "{path}: {about:?} is not a sentence");
        for arg in command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")) {
            check_option(&path, arg);
        }
        let help = command.render_long_help().to_string();
        let shown = examples(&help);
        assert!(!shown.is_empty(), "{path} has no example:\n{help}");
        for example in &shown {
            assert!(parse(example).is_ok(), "{path}: {}", message(example));
        }
        assert!(shown.iter().any(|example| example.starts_with(&path)), "{path} is in none of its examples: {shown:?}");
        assert!(message(&format!("{path} --help")).contains("Examples:"), "{path} --help");
    }
}

fn check_option(path: &str, arg: &Arg) {
    let name = arg.get_id();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    assert!(help.starts_with(char::is_uppercase), "{path}: {name} is not described: {help:?}");
    let has_default = !arg.get_default_values().is_empty() || help.contains("[default: ");
    assert!(
        has_default || arg.is_required_set() || !arg.get_action().takes_values(),
        "{path}: the help of {name} does not name its default: {help:?}"
    );
}

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let kind = |line: &str| parse(line).unwrap_err().kind();
    assert_eq!(kind("--version"), ErrorKind::DisplayVersion);
    assert_eq!(message("--version").trim(), format!("kindling {}", env!("CARGO_PKG_VERSION")));
    for line in ["--help", "help", "help export hf", "train --help"] {
        assert_eq!((kind(line), parse(line).unwrap_err().exit_code()), (ErrorKind::DisplayHelp, 0), "{line}");
    }
    let overview = message("--help");
    for (path, command) in subcommands().iter().filter(|(path, _)| !path.contains(' ')) {
        assert_eq!(overview.contains(&format!("\n  {path} ")), !command.is_hide_set(), "{path}: {overview}");
    }
    assert_eq!(parse("").unwrap_err().exit_code(), 2, "nothing was asked for");
}

#[test]
fn misspelt_words_get_a_suggestion() {
    for (line, suggestion) in [
        ("srve", "'serve'"),
        ("trainn", "'train'"),
        ("serve --dta x", "'--data'"),
        ("serve --listne x", "'--listen'"),
        ("train --prest tiny", "'--preset'"),
        ("train a --sett b=1", "'--set'"),
        ("token --role amdin", "'admin'"),
        ("token --signin", "'--sign-in'"),
        ("export series a --too b", "'--to'"),
        ("export seris a --to b", "'series'"),
        ("completions bsh", "'bash'"),
    ] {
        let message = message(line);
        assert!(message.contains("tip: a similar") && message.contains(suggestion), "{line}: {message}");
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_value_or_the_option() {
    for (line, named) in [
        ("serve --listen", "--listen"),
        ("serve --listen nowhere", "an address such as 127.0.0.1:7878"),
        ("serve extra", "'extra'"),
        ("serve --queue-limit many", "'many'"),
        ("token --role king", "[possible values: view, steer, admin]"),
        ("token --days 0", "1..=3650"),
        ("train", "<SPEC.toml|--preset <NAME>|--corpus <ID>|--resume <RUN>>"),
        ("train a b", "'b'"),
        ("train a --resume amber-fox", "cannot be used with"),
        ("train --resume amber-fox --set a=1", "cannot be used with"),
        ("train --resume ../x", "\"../x\""),
        ("train a --set learning_rate", "optimizer.learning_rate=1e-3"),
        ("train a --tokenizer words", "\"words\""),
        ("worker --device ../x", "\"../x\""),
        ("export", "hf"),
        ("export hf --to x", "<RUN>"),
        ("export hf amber-fox", "--to <FOLDER>"),
        ("export hf amber-fox 12 --to x", "\"12\""),
        ("export series amber-fox 0-12 --to x", "'0-12'"),
        ("sweep", "<SPEC.toml>"),
        ("sweep a.toml --detach --to b.csv", "cannot be used with"),
        ("export sweep three --to x", "'three'"),
        ("export songs amber-fox --to x", "'songs'"),
        ("export archive ../x --to x", "\"../x\""),
        ("bench --rounds 0", "'0'"),
        ("bench --threads 0", "'0'"),
        ("bench --against torch", "'torch'"),
        ("bench --ablation --baseline a.json", "cannot be used with"),
        ("bench --set model.seq", "PATH=VALUE"),
        ("agent-bench --seeds 0", "1..=100"),
        ("agent-bench --agent mcp --command x", "cannot be used with"),
        ("check --device", "--device"),
        ("complete prompt", "'prompt'"),
        ("inspect inside", "'inside'"),
        ("look", "'look'"),
        ("sing", "'sing'"),
    ] {
        let said = message(line);
        assert!(said.contains(named), "{line}: {named} is not named in: {said}");
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn settings_come_from_options_and_defaults() {
    let settings = |line: &str| match parse(line).unwrap().subcommand {
        Subcommand::Serve(args) => args.settings(),
        other => panic!("{other:?}"),
    };
    let given = settings(
        "serve --data x --listen 9000 --allow-host a.example --allow-host b.example --no-workers --queue-limit 5",
    );
    assert_eq!((given.data.to_str(), given.listen.to_string()), (Some("x"), "127.0.0.1:9000".to_owned()));
    assert_eq!((given.allowed_hosts.len(), given.starts_workers, given.queue_limit), (2, false, 5));
    let usual = settings("serve --data x");
    assert!(usual.starts_workers && usual.allowed_hosts.is_empty());
    // The folder may stand before or after what is exported, as the scenario tests and people write it.
    for line in ["export --data x archive a --to y", "export archive a --to y --data x"] {
        assert!(format!("{:?}", parse(line).unwrap()).contains("folder: \"x\""), "{line}");
    }
}

#[test]
fn completions_know_every_subcommand() {
    for shell in Shell::value_variants() {
        let script = String::from_utf8(completions::script(*shell)).unwrap();
        for (path, command) in subcommands() {
            let name = path.rsplit(' ').next().unwrap();
            assert!(script.contains(name) || command.is_hide_set(), "{shell}: {path}");
        }
        for option in ["listen", "resume", "sign-in"] {
            assert!(script.contains(option), "{shell}: {option}");
        }
    }
}

fn token_args(line: &str) -> TokenArgs {
    match parse(line).unwrap().subcommand {
        Subcommand::Token(args) => args,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_of_an_unused_folder_is_refused_and_nothing_is_created() {
    let parent = tempfile::tempdir().unwrap();
    let missing = parent.path().join("missing");
    for folder in [missing.as_path(), parent.path()] {
        let refused = token_args(&format!("token --data {}", folder.display())).make().await.unwrap_err();
        assert!(matches!(refused, TokenError::Unused(_)), "{refused:?}");
        let said = refused.to_string();
        for words in [folder.to_str().unwrap(), "no server", "kindling serve", "--data"] {
            assert!(said.contains(words), "{words:?} is not in: {said}");
        }
    }
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn tokens_have_the_defaults_that_the_help_names() {
    let folder = tempfile::tempdir().unwrap();
    store::Store::open(folder.path()).await.unwrap().close().await;
    let make = |options: &str| token_args(&format!("token --data {} {options}", folder.path().display())).make();
    for (options, expected) in [
        ("", "\"steer\" (role steer). Expires in 90 days."),
        ("--role view --name ada --days 1", "\"ada\" (role view). Expires in 1 day."),
        ("--sign-in", "Signs in once as \"admin\" (role admin). Expires in 1 day."),
        ("--sign-in --role view --name ada --days 2", "as \"ada\" (role view). Expires in 2 days."),
        ("--agent act --steps 500 --command pause", "the agent \"agent\" (mode act). Expires in 90 days."),
    ] {
        let made = make(options).await.unwrap();
        assert!(made.about.contains(expected), "{options}: {}", made.about);
        assert_eq!(made.text.contains("/signin?token="), options.contains("--sign-in"), "{options}: {}", made.text);
    }
    assert!(parse("token --role worker").is_err(), "workers join with join tokens");
    for line in ["token --agent act --role admin", "token --agent act --command delete", "token --steps 5"] {
        assert!(parse(line).is_err(), "{line}");
    }
}
