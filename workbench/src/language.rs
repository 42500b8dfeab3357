//! The languages that functions are written in, by their names. Owns nothing.

pub use control::app::Language;

/// All of them, in the order in which they are offered.
pub const ALL: [Language; 6] = [
    Language::Rust,
    Language::Js,
    Language::Ts,
    Language::Python,
    Language::Go,
    Language::C,
];

/// A language's name on the command line, in `eddyline.toml` and among the templates.
pub const fn name(language: Language) -> &'static str {
    match language {
        Language::Rust => "rust",
        Language::Js => "js",
        Language::Ts => "ts",
        Language::Python => "python",
        Language::Go => "go",
        Language::C => "c",
    }
}

/// The language of a name.
pub fn parse(text: &str) -> Option<Language> {
    ALL.into_iter().find(|language| name(*language) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_file() {
        for language in ALL {
            let json = serde_json::to_value(language).unwrap();
            assert_eq!(json, name(language));
            assert_eq!(parse(name(language)), Some(language));
        }
        assert_eq!(parse("Rust"), None);
    }
}
