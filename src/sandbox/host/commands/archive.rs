//! `base64`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::shell::{Interp, Run};
use super::{Arguments, inputs};

pub(super) fn base64(it: &mut Interp<'_, '_>, words: &[String]) -> Run {
    let arguments = Arguments::parse(words, &["-w", "--wrap"]);
    let (texts, status) = inputs(it, "base64", &arguments.rest)?;
    let text: String = texts.into_iter().map(|(_, text)| text).collect();
    if arguments.has(&["-d", "--decode", "-D"]) {
        let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        return match STANDARD.decode(packed) {
            Ok(bytes) => {
                it.out(&String::from_utf8_lossy(&bytes))?;
                Ok(status)
            }
            Err(_) => it.fail(1, "base64: invalid input"),
        };
    }
    let width = arguments.value(&["-w", "--wrap"]).and_then(|n| n.parse().ok()).unwrap_or(76_usize);
    let encoded: Vec<char> = STANDARD.encode(text).chars().collect();
    let lines: Vec<String> = if width == 0 {
        vec![encoded.iter().collect()]
    } else {
        encoded.chunks(width).map(|line| format!("{}\n", line.iter().collect::<String>())).collect()
    };
    it.out(&lines.concat())?;
    Ok(status)
}
