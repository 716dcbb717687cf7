//! The direction of dependencies (ARCHITECTURE.md) is law: an arrow that points the wrong way fails here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules of ours that it may name. The longest matching path decides.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &["model"]),
    ("reach", &["model", "reach"]),
    ("plan", &["model", "reach", "plan"]),
    ("saga", &["saga"]),
    ("walkthrough", &["model", "reach", "plan", "walkthrough"]),
    ("aws", &["model", "plan", "aws"]),
    ("sandbox", &["model", "reach", "sandbox"]),
    ("ops", &["model", "reach", "plan", "saga", "aws", "ops", "walkthrough"]),
    ("cli", &["model", "reach", "plan", "saga", "aws", "ops", "walkthrough", "cli"]),
    ("tui", &["model", "reach", "plan", "saga", "walkthrough", "tui"]),
    ("tui/runtime", &["model", "reach", "plan", "saga", "aws", "ops", "walkthrough", "tui"]),
];

/// Crates that only one place may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("aws_sdk_", &["aws"]),
    ("aws_config", &["aws"]),
    ("aws_types", &["aws"]),
    ("aws_credential_types", &["aws"]),
    ("aws_smithy_", &["aws", "sandbox/connector"]),
    ("brush_parser", &["sandbox/host"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("clap", &["main", "cli"]),
    ("color_eyre", &["main", "cli", "tui/runtime", "tui/terminal"]),
];

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file: its path below `src` without extension, with `/`, and its lines without comments.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap().with_extension("");
            let text = fs::read_to_string(file).unwrap();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            (name.to_string_lossy().replace('\\', "/"), code.join("\n"))
        })
        .collect()
}

fn is_within(file: &str, place: &str) -> bool {
    file == place || file.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
}

/// What follows each `crate::` in a file: `{a, b::c}` counts as `a` and `b`.
fn own_modules_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for after in code.split("crate::").skip(1) {
        if let Some(group) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => named.push(std::mem::take(&mut item)),
                    _ if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            named.push(item);
        } else {
            named.push(after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    named.iter().map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let sources = sources();
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (file, code) in &sources {
        if file == "lib" || is_within(file, "main") {
            continue;
        }
        let rule = MAY_USE.iter().filter(|(place, _)| is_within(file, place)).max_by_key(|(place, _)| place.len());
        let Some((_, allowed)) = rule else {
            wrong.push(format!("src/{file}.rs belongs to no module of the design"));
            continue;
        };
        let modules: Vec<&str> = MAY_USE.iter().map(|(place, _)| *place).collect();
        for module in own_modules_named(code) {
            if modules.contains(&module.as_str()) {
                arrows += 1;
                if !allowed.contains(&module.as_str()) {
                    wrong.push(format!("src/{file}.rs uses {module}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
    assert!(arrows > 50, "the test sees the arrows: {arrows}");
}

#[test]
fn the_sdk_and_the_terminal_are_named_in_one_place_each() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (name, places) in ONLY_IN {
            let names_it = code.lines().any(|line| {
                line.match_indices(name).any(|(at, _)| {
                    let before = line.get(..at).and_then(|text| text.chars().last());
                    let after = line.get(at + name.len()..).unwrap_or_default();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
                        && (name.ends_with('_') || after.starts_with("::"))
                })
            });
            if names_it && !places.iter().any(|place| is_within(&file, place)) {
                wrong.push(format!("src/{file}.rs names {name}, which belongs in {}", places.join(" and ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_modules_read_no_clock_no_file_and_no_network() {
    const PURE: &[&str] = &["model", "reach", "plan", "tui/model", "tui/update", "tui/view", "tui/widget"];
    const IMPURE: &[&str] = &[
        "std::fs",
        "std::net::Tcp",
        "std::process",
        "std::env",
        "tokio::",
        "Timestamp::now",
        "SystemTime",
        "Instant::now",
    ];
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let product = code.split("#[cfg(test)]").next().unwrap_or_default();
        let tests_only = file.ends_with("tests") || file.contains("/tests/") || file.contains("testing");
        if PURE.iter().any(|place| is_within(&file, place)) && !tests_only {
            for name in IMPURE.iter().filter(|name| product.contains(**name)) {
                wrong.push(format!("src/{file}.rs names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
