//! Addresses of the page, as share links and presentations name them: what they show decides who may see them.

use super::Role;
use super::grants::Grants;
use crate::error::PlanError;
use crate::id::RunId;

/// Maximum length of an address, characters.
pub const MAX_ADDRESS_CHARS: usize = 2_000;

/// Keys of a query that say how a list is shown, and nothing of what is in it.
const HARMLESS: [&str; 9] = ["archived", "deleted", "group", "log", "sort", "state", "step", "tab", "x"];

/// Pages that list what their reader may see.
const LISTS: [&str; 7] = ["", "compare", "data", "experiments", "new", "playground", "start"];

/// What an address of the page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// One run, or several: `/runs/ID`, `/runs/ID/xray`, `/compare?runs=A,B`, or another page whose query names runs.
    Runs(Vec<RunId>),
    /// A project: `/projects/NAME`, or another page whose query has `project=NAME`.
    Project(String),
    /// Pages that list what their reader may see: the runs, the datasets, the experiments, the sweeps, the forms of new ones, the playground.
    Overview,
    /// Pages of the whole lab: machines, settings, people; and lists with a search text or a dataset in their address.
    Lab,
}

impl Shown {
    /// What an address shows. A page that this version does not know is one of the whole lab.
    pub fn of(address: &str) -> Self {
        let (path, query) = parts(address);
        let pairs: Vec<(String, String)> = pairs(query).collect();
        let values = |wanted: &'static [&str]| pairs.iter().filter(move |(key, _)| wanted.contains(&key.as_str()));
        let named = values(&["runs", "run", "from", "with"]).flat_map(|(_, value)| value.split(','));
        let mut runs: Vec<RunId> = named.filter_map(|run| run.parse().ok()).collect();
        let mut projects = values(&["project"]).map(|(_, name)| name.clone()).filter(|name| !name.is_empty());
        let is_harmless = values(&HARMLESS).count() == pairs.len();
        match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["runs", run] | ["runs", run, _] => match run.parse() {
                Ok(run) => {
                    runs.insert(0, run);
                    Self::Runs(runs)
                }
                Err(_) => Self::Lab,
            },
            ["projects", name] => Self::Project(name.to_owned()),
            [page] if LISTS.contains(&page) && !runs.is_empty() => Self::Runs(runs),
            [page] if LISTS.contains(&page) => match (projects.next(), projects.next()) {
                (Some(project), None) => Self::Project(project),
                (None, _) if is_harmless => Self::Overview,
                _ => Self::Lab,
            },
            ["sweeps" | "experiments", "new"] if !runs.is_empty() => Self::Runs(runs),
            ["sweeps"] | ["sweeps" | "experiments", "new"] if is_harmless => Self::Overview,
            _ => Self::Lab,
        }
    }

    /// Whether someone may see it. `project_of` returns the project of a run; `None` for a run that does not exist.
    pub fn is_visible_to(&self, grants: &Grants, project_of: impl Fn(&RunId) -> Option<String>) -> bool {
        let sees = |run: &RunId| project_of(run).is_some_and(|project| grants.on_run(run, &project).is_some());
        match self {
            Self::Runs(runs) => runs.iter().all(sees),
            Self::Project(project) => grants.in_project(project).is_some(),
            Self::Overview => grants.has_anywhere(Role::View),
            Self::Lab => grants.has_lab(Role::View),
        }
    }

    /// The runs that it shows.
    pub fn runs(&self) -> &[RunId] {
        match self {
            Self::Runs(runs) => runs,
            _ => &[],
        }
    }
}

/// Checks that a text is the path and the query of a page of this lab, and not an address elsewhere.
///
/// # Errors
/// It does not begin with one slash, is too long, or has characters that an address writes otherwise.
pub fn check(address: &str) -> Result<(), PlanError> {
    let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_local = address.starts_with('/') && !address.starts_with("//");
    if address.len() > MAX_ADDRESS_CHARS || !is_plain || !is_local || address.contains("/..") {
        let shown: String = address.chars().take(80).collect();
        return Err(PlanError::new("path", format!("{shown:?} is not the address of a page of this lab")).hint(
            format!(
                "give the path and the query, such as /runs/amber-fox-7k2q; at most {MAX_ADDRESS_CHARS} characters"
            ),
        ));
    }
    Ok(())
}

/// The path and the query of an address, without its fragment.
pub(super) fn parts(address: &str) -> (&str, &str) {
    let address = address.split('#').next().unwrap_or_default();
    address.split_once('?').unwrap_or((address, ""))
}

/// The keys and values of a query, decoded.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (decoded(key), decoded(value)))
}

/// A value of a query, decoded.
pub(super) fn value(query: &str, key: &str) -> Option<String> {
    pairs(query).find(|(name, _)| name == key).map(|(_, value)| value)
}

/// Decodes `%2C` and the like; bytes that are not UTF-8 are replaced.
fn decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (bytes, mut out, mut at) = (text.as_bytes(), vec![], 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> RunId {
        id.parse().unwrap()
    }

    #[test]
    fn an_address_says_what_it_shows() {
        let two = || Shown::Runs(vec![run("amber-fox"), run("red-owl")]);
        for (address, expected) in [
            ("/", Shown::Overview),
            ("/sweeps", Shown::Overview),
            ("/sweeps/3", Shown::Lab),
            ("/sweeps/new?from=amber-fox", Shown::Runs(vec![run("amber-fox")])),
            ("/experiments", Shown::Overview),
            ("/experiments/3", Shown::Lab),
            ("/experiments/new", Shown::Overview),
            ("/experiments/new?from=amber-fox", Shown::Runs(vec![run("amber-fox")])),
            ("/?sort=-created&x=time", Shown::Overview),
            ("/?q=adam", Shown::Lab),
            ("/data?corpus=secret", Shown::Lab),
            ("/?project=vision&project=speech", Shown::Lab),
            ("/compare?runs=amber-fox&runs=red-owl", two()),
            ("/compare?r%75ns=amber-fox,red-owl", two()),
            ("/runs/amber-fox/xray?with=red-owl", two()),
            ("/?project=vision", Shown::Project("vision".into())),
            ("/projects/vision", Shown::Project("vision".into())),
            ("/runs/amber-fox", Shown::Runs(vec![run("amber-fox")])),
            ("/runs/amber-fox/xray?view=attention&layer=1#top", Shown::Runs(vec![run("amber-fox")])),
            ("/runs/NOT AN ID", Shown::Lab),
            ("/compare?runs=amber-fox,red-owl", two()),
            ("/compare?runs=amber-fox%2Cred-owl", two()),
            ("/start?from=red-owl", Shown::Runs(vec![run("red-owl")])),
            ("/settings", Shown::Lab),
            ("/fleet/cpu", Shown::Lab),
            ("", Shown::Overview),
        ] {
            assert_eq!(Shown::of(address), expected, "{address}");
        }
    }

    #[test]
    fn only_addresses_of_this_lab_are_accepted() {
        for good in ["/", "/runs/amber-fox/xray?view=attention&prompt=a%20b#x", "/compare?runs=a,b"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = format!("/{}", "a".repeat(MAX_ADDRESS_CHARS));
        for bad in [
            "",
            "runs/a",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "/a b",
            "/ä",
            "/a\r\nX: y",
            "/../x",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_seen_by_those_who_see_all_that_it_shows() {
        let project = |id: &RunId| (id.as_str() != "gone").then(|| "vision".to_owned());
        let mut guest = Grants::default();
        guest.add_run(run("amber-fox"), Role::View);
        let mut member = Grants::default();
        member.add_project("vision".to_owned(), Role::View);
        let viewer = Grants::of_lab(Role::View);
        for (address, of_guest, of_member, of_viewer) in [
            ("/runs/amber-fox", true, true, true),
            ("/compare?runs=amber-fox,red-owl", false, true, true),
            ("/runs/gone", false, false, false),
            ("/?project=vision", false, true, true),
            ("/?project=speech", false, false, true),
            ("/", false, true, true),
            ("/fleet", false, false, true),
        ] {
            let seen = [&guest, &member, &viewer].map(|grants| Shown::of(address).is_visible_to(grants, project));
            assert_eq!(seen, [of_guest, of_member, of_viewer], "{address}");
        }
    }
}
