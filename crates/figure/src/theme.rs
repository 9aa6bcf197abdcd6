//! The colours of roles: one table for light and dark. The page's style sheet declares the same custom properties with the same
//! values ([`css`] writes them; a test of the page checks that its sheet has them).
//!
//! Contrast against the surface, by WCAG: text roles at least 4.5, lines and fills of data at least 3. The colours of runs are
//! Okabe and Ito's set, darkened for the light theme and lightened for the dark theme only as far as necessary. Their yellow is
//! violet in the light theme, where a darkened yellow would be too close to the orange.

use crate::scene::{Dash, Role};

/// Light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on light.
    #[default]
    Light,
    /// Light ink on dark.
    Dark,
}

/// A role's custom property and its two colours, as `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    pub role: Role,
    /// Name of the custom property, with its dashes.
    pub property: &'static str,
    /// On light.
    pub light: &'static str,
    /// On dark.
    pub dark: &'static str,
}

const fn paint(role: Role, property: &'static str, light: &'static str, dark: &'static str) -> Paint {
    Paint { role, property, light, dark }
}

/// Colours of runs before they repeat.
pub const RUNS: u8 = 8;

/// Every role there is; runs are 0 to [`RUNS`].
pub const PAINTS: [Paint; 19] = [
    paint(Role::Surface, "--surface", "#fdfcfa", "#191714"),
    paint(Role::Ink, "--ink", "#211d18", "#efe9e0"),
    paint(Role::InkSoft, "--ink-soft", "#5d564d", "#b5aca0"),
    paint(Role::InkFaint, "--ink-faint", "#756d62", "#958c80"),
    paint(Role::Grid, "--grid", "#ebe6df", "#2b2823"),
    paint(Role::AxisLine, "--axis-line", "#cbc3b8", "#4a443c"),
    paint(Role::Accent, "--accent", "#bf4b08", "#ff9147"),
    paint(Role::Alarm, "--alarm", "#b80f3a", "#ff6b86"),
    paint(Role::Good, "--good", "#0b7a57", "#4cc79a"),
    paint(Role::Abandoned, "--abandoned", "#857d73", "#857d72"),
    paint(Role::Floor, "--floor", "#6d5bb0", "#a99be6"),
    paint(Role::Run(0), "--run-0", "#0072b2", "#2687be"),
    paint(Role::Run(1), "--run-1", "#009e73", "#009e73"),
    paint(Role::Run(2), "--run-2", "#c474a0", "#cc79a7"),
    paint(Role::Run(3), "--run-3", "#bd8200", "#e69f00"),
    paint(Role::Run(4), "--run-4", "#4795c1", "#56b4e9"),
    paint(Role::Run(5), "--run-5", "#d55e00", "#d55e00"),
    paint(Role::Run(6), "--run-6", "#8e24c9", "#f0e442"),
    paint(Role::Run(7), "--run-7", "#5d564d", "#b5aca0"),
];

impl Role {
    /// Its row in the table.
    pub fn paint(self) -> &'static Paint {
        let index = match self {
            Self::Surface => 0,
            Self::Ink => 1,
            Self::InkSoft => 2,
            Self::InkFaint => 3,
            Self::Grid => 4,
            Self::AxisLine => 5,
            Self::Accent => 6,
            Self::Alarm => 7,
            Self::Good => 8,
            Self::Abandoned => 9,
            Self::Floor => 10,
            Self::Run(number) => 11 + usize::from(number % RUNS),
        };
        &PAINTS[index]
    }

    /// Name of its custom property: `--accent`.
    pub fn property(self) -> &'static str {
        self.paint().property
    }

    /// Dashes of its line: runs that share a colour differ in these.
    pub fn dash(self) -> Dash {
        match self {
            Self::Run(number) => [Dash::Solid, Dash::Dashed, Dash::Dotted][usize::from(number / RUNS % 3)],
            _ => Dash::Solid,
        }
    }
}

impl Theme {
    /// The colour of a role, as `#rrggbb`.
    pub fn color(self, role: Role) -> &'static str {
        let paint = role.paint();
        match self {
            Self::Light => paint.light,
            Self::Dark => paint.dark,
        }
    }
}

/// The declarations of one theme, a line each: `--ink: #211d18;`.
pub fn css(theme: Theme) -> String {
    PAINTS.iter().map(|paint| format!("{}: {};\n", paint.property, theme.color(paint.role))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inks and surfaces are the page's own (`style.css`); every other role of a drawing looks the same in a page and in a file.
    #[test]
    fn the_page_has_the_same_colours() {
        let sheet = include_str!("../../../public/run.css");
        let own = ["--surface", "--ink", "--ink-soft", "--ink-faint"];
        for paint in PAINTS.iter().filter(|paint| !own.contains(&paint.property)) {
            let count = |color: &str| sheet.matches(&format!("{}: {color};", paint.property)).count();
            let enough = if paint.light == paint.dark { 3 } else { 1 };
            assert!(count(paint.light) >= enough, "{} is {} on light", paint.property, paint.light);
            assert!(count(paint.dark) >= 2, "{} is {} on dark, chosen or by the system", paint.property, paint.dark);
        }
    }

    fn luminance(color: &str) -> f64 {
        let part = |at: usize| {
            let channel = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn roles_have_enough_contrast() {
        for theme in [Theme::Light, Theme::Dark] {
            for paint in &PAINTS {
                let needed = match paint.role {
                    Role::Surface | Role::Grid | Role::AxisLine => continue,
                    Role::Run(_) | Role::Abandoned => 3.0,
                    _ => 4.5,
                };
                let found = contrast(theme.color(paint.role), theme.color(Role::Surface));
                assert!(found >= needed, "{theme:?} {}: {found:.2} of {needed}", paint.property);
            }
        }
    }

    #[test]
    fn every_role_has_its_own_row() {
        for paint in &PAINTS {
            assert_eq!(paint.role.paint(), paint);
        }
        assert_eq!(Role::Run(9).paint(), Role::Run(1).paint());
        assert_ne!(Role::Run(9).dash(), Role::Run(1).dash());
        assert!(css(Theme::Dark).contains("--accent: #ff9147;\n"));
    }
}
