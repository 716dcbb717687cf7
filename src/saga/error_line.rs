//! Errors for people, wherever they are told. Pure.

use std::error::Error;

/// An error and its causes on one line, without saying the same twice.
pub fn error_line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Said {
        said: &'static str,
        source: Option<Box<Said>>,
    }

    #[test]
    fn what_was_said_already_is_not_said_again() {
        let cause = |said, source| Some(Box::new(Said { said, source }));
        let error = Said { said: "no route:\n  refused", source: cause("refused", cause("by the host", None)) };
        assert_eq!(error_line(&error), "no route: refused: by the host");
    }
}
