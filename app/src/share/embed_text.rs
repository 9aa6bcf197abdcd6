//! The texts with which another page contains an embed.

/// An image or a frame of an embed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EmbedText {
    /// Address of the embed, without a query.
    pub(super) address: String,
    /// What it shows, for readers who cannot see it.
    pub(super) title: String,
    /// `light` or `dark`; `None` for a frame that follows its reader's browser, and for light images.
    pub(super) theme: Option<&'static str>,
    /// Pixels.
    pub(super) width: u32,
    /// Pixels.
    pub(super) height: u32,
}

impl EmbedText {
    /// Address of the image.
    pub(super) fn image(&self, extension: &str) -> String {
        let Self { address, theme, width, height, .. } = self;
        let theme = theme.map(|theme| format!("&theme={theme}")).unwrap_or_default();
        format!("{address}/image.{extension}?width={width}&height={height}{theme}")
    }

    /// A frame that updates itself.
    pub(super) fn iframe(&self) -> String {
        let Self { address, theme, width, height, .. } = self;
        let title = in_attribute(&self.title);
        let theme = theme.map(|theme| format!("?theme={theme}")).unwrap_or_default();
        format!(
            "<iframe src=\"{address}{theme}\" title=\"{title}\" width=\"{width}\" height=\"{height}\" loading=\"lazy\" \
             style=\"border: 0\"></iframe>"
        )
    }

    /// An image in Markdown: a README, a notebook, an issue.
    pub(super) fn markdown(&self, extension: &str) -> String {
        format!("![{}]({})", in_brackets(&self.title), self.image(extension))
    }

    /// An image in HTML.
    pub(super) fn img(&self) -> String {
        let Self { width, height, .. } = self;
        let (address, title) = (in_attribute(&self.image("svg")), in_attribute(&self.title));
        format!("<img src=\"{address}\" alt=\"{title}\" width=\"{width}\" height=\"{height}\">")
    }
}

/// A text as the value of an attribute.
fn in_attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A text as the description of an image in Markdown.
fn in_brackets(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '[' | ']' | '<' | '>' | '`' | '*' | '_') {
            escaped.push('\\');
        }
        escaped.push(if letter.is_control() { ' ' } else { letter });
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_leave_its_attribute_or_its_brackets() {
        let text = EmbedText {
            address: "https://lab.example/embed/abc".into(),
            title: "\"><script>](x) & a_b".into(),
            theme: Some("dark"),
            width: 960,
            height: 480,
        };
        let image = "https://lab.example/embed/abc/image.svg?width=960&height=480&theme=dark";
        assert_eq!(text.image("svg"), image);
        assert_eq!(text.markdown("svg"), format!("![\"\\>\\<script\\>\\](x) & a\\_b]({image})"));
        let title = "&quot;&gt;&lt;script&gt;](x) &amp; a_b";
        assert_eq!(
            text.iframe(),
            format!(
                "<iframe src=\"https://lab.example/embed/abc?theme=dark\" title=\"{title}\" width=\"960\" height=\"480\" \
                 loading=\"lazy\" style=\"border: 0\"></iframe>"
            )
        );
        let image = image.replace('&', "&amp;");
        assert_eq!(text.img(), format!("<img src=\"{image}\" alt=\"{title}\" width=\"960\" height=\"480\">"));
        let readers = EmbedText { theme: None, ..text };
        assert_eq!(readers.image("png"), "https://lab.example/embed/abc/image.png?width=960&height=480");
        assert!(readers.iframe().starts_with("<iframe src=\"https://lab.example/embed/abc\" "));
    }
}
