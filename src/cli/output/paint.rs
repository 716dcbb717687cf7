//! Colour for text output. Every colour stands beside a symbol or a word, so nothing is lost without it.

/// Whether and how to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    pub colour: bool,
}

impl Paint {
    fn sgr(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub fn good(self, text: &str) -> String {
        self.sgr("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.sgr("31", text)
    }

    pub fn warn(self, text: &str) -> String {
        self.sgr("33", text)
    }

    pub fn faint(self, text: &str) -> String {
        self.sgr("2", text)
    }

    pub fn strong(self, text: &str) -> String {
        self.sgr("1", text)
    }
}
